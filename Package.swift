// swift-tools-version: 6.2
import PackageDescription

// Every Swift room is built under the same strict rules; a warning is an error.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let strictTests: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "pail",
    products: [.executable(name: "pail", targets: ["pail"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // System libraries, and the C shims Swift needs to reach them.
        .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CPlatform", cSettings: [.define("_GNU_SOURCE")]),

        // Leaves.
        .target(name: "Scheduling", dependencies: ["CPlatform"], swiftSettings: strict),
        .target(
            name: "Buffers",
            dependencies: [.product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: strict),
        .target(name: "Operations", dependencies: ["Buffers"], swiftSettings: strict),
        .target(name: "ContentTypes", swiftSettings: strict),

        // The rooms, top to bottom in Sources/README.md.
        .target(
            name: "Transport",
            dependencies: ["CCurl", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: strict),
        .target(
            name: "S3",
            dependencies: [
                "Transport", "Scheduling", "CExpat", "COpenSSL", "CPlatform",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "BlockStore",
            dependencies: [
                "CPlatform", "COpenSSL", "Scheduling",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "FileSystem",
            dependencies: [
                "Operations", "Buffers", "Scheduling", "S3", "BlockStore", "CPlatform",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "Fuse",
            dependencies: [
                "CFuse", "CPlatform", "Operations", "Buffers",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(name: "Control", dependencies: ["CPlatform"], swiftSettings: strict),
        .executableTarget(
            name: "pail",
            dependencies: [
                "Fuse", "FileSystem", "Control", "BlockStore", "S3", "Transport", "Buffers",
                "Scheduling",
                "Operations", "CPlatform", "ContentTypes",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),

        .testTarget(
            name: "SchedulingTests", dependencies: ["Scheduling"], swiftSettings: strictTests),
        .testTarget(
            name: "BuffersTests", dependencies: ["Buffers", "Scheduling"],
            swiftSettings: strictTests),
        .testTarget(
            name: "TransportTests", dependencies: ["Transport", "fault-relay"],
            swiftSettings: strictTests),
        // A relay between client and server that is slow and breaks, for tests.
        .executableTarget(
            name: "fault-relay", path: "Tests/FaultRelay",
            cSettings: [.define("_GNU_SOURCE")]),
        .testTarget(
            name: "S3Tests", dependencies: ["S3", "Transport", "Scheduling"],
            swiftSettings: strictTests),
        .testTarget(
            name: "BlockStoreTests",
            dependencies: [
                "BlockStore", "Scheduling", "CPlatform", "blockstore-hammer",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictTests),
        // A process that works a cache directory, for tests of several processes, and for figures.
        .executableTarget(
            name: "blockstore-hammer",
            dependencies: [
                "BlockStore", "Scheduling", .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/BlockStoreHammer", swiftSettings: strictTests),
        .testTarget(
            name: "FuseTests",
            dependencies: [
                "Fuse", "Operations", "Buffers", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictTests),
        // The in-memory store with faults and the seeded clock that tests play.
        .target(
            name: "Simulation",
            dependencies: ["S3", "Scheduling", "BlockStore", "Operations", "Buffers"],
            path: "Tests/Simulation", swiftSettings: strictTests),
        .testTarget(
            name: "FileSystemTests",
            dependencies: [
                "Simulation", "FileSystem", "Operations", "Buffers", "S3", "BlockStore",
                "Scheduling",
            ],
            swiftSettings: strictTests),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "Simulation", "FileSystem", "Operations", "Buffers", "S3", "BlockStore",
                "Scheduling", "CPlatform",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictTests),
        .testTarget(
            name: "ControlTests", dependencies: ["Control"], swiftSettings: strictTests),
        .testTarget(
            name: "PailTests",
            dependencies: [
                "pail", "ContentTypes", "S3", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strictTests),
        // Real kernel, real servers: run by scripts/test, which builds pail first.
        .testTarget(
            name: "MountTests",
            exclude: ["Support/reader.py"],
            swiftSettings: strictTests),
    ],
    swiftLanguageModes: [.v6]
)
