// A process of its own that works a cache directory, for tests of what processes do to each other,
// and for figures of what storing costs. Not part of the product.
//
//     blockstore-hammer work DIR LIMIT SEED SECONDS   writes and checks; 1: a wrong byte
//     blockstore-hammer hold DIR LIMIT BYTES          stores that much, says "ready", waits for stdin
//     blockstore-hammer large DIR MIB [RATE MB/s]     one object, blocks of 1 MiB in order
//     blockstore-hammer small DIR COUNT [LIMIT]       objects of 100 KiB
//     blockstore-hammer open DIR                      opens objects of 100 KiB and one of 200 GB
//     blockstore-hammer stage-puts DIR                durable records until it is killed
//     blockstore-hammer stage-hold DIR                leaves a staged file, says "ready", waits for stdin
//     blockstore-hammer stage-bench DIR COUNT         small staged files and durable records

import Foundation

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    FileHandle.standardError.write(Data("usage: see main.swift\n".utf8))
    exit(64)
}
func number(_ index: Int, _ otherwise: Int) -> Int {
    arguments.count > index ? Int(arguments[index]) ?? otherwise : otherwise
}
switch arguments[1] {
case "work":
    exit(
        Hammer.work(
            arguments[2], limit: Int64(number(3, 16 << 20)), seed: UInt64(number(4, 1)),
            seconds: number(5, 3)))
case "hold": Hammer.hold(arguments[2], limit: Int64(number(3, 16 << 20)), bytes: number(4, 1 << 20))
case "large": Bench.large(arguments[2], blocks: number(3, 1024), rate: number(4, 0))
case "small": Bench.small(arguments[2], count: number(3, 10_000), limit: number(4, 64 << 30))
case "open": Bench.open(arguments[2])
case "stage-puts": Stage.puts(arguments[2])
case "stage-hold": Stage.hold(arguments[2])
case "stage-bench": Stage.bench(arguments[2], count: number(3, 1000))
default: exit(64)
}
