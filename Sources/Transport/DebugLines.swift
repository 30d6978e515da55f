// What --debug-http shows of one handle: whole lines, numbered by request, without secrets.
//
// libcurl may hand out a header in pieces; a piece of a signature is a secret too, so nothing is
// shown before its line is complete.

import Synchronization

final class DebugLines {
    enum Kind: Int, CaseIterable {
        case talk, received, sent

        var sign: String {
            switch self {
            case .talk: "*"
            case .received: "<"
            case .sent: ">"
            }
        }
    }

    private static let requests = Atomic<Int>(0)
    private let sink: @Sendable (String) -> Void
    private var number = 0
    private var partial: [[UInt8]] = Array(repeating: [], count: Kind.allCases.count)

    init(sink: @escaping @Sendable (String) -> Void) { self.sink = sink }

    /// A new request begins on this handle.
    func begin() {
        number = Self.requests.wrappingAdd(1, ordering: .relaxed).newValue
        for index in partial.indices { partial[index] = [] }
    }

    func take(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) {
        for byte in unsafe Array(bytes) {
            if byte == UInt8(ascii: "\n") {
                show(kind)
            } else if byte >= 0x20 && byte != 0x7F {
                partial[kind.rawValue].append(byte)
            }
        }
    }

    private func show(_ kind: Kind) {
        let text = String(decoding: partial[kind.rawValue], as: UTF8.self)
        partial[kind.rawValue].removeAll(keepingCapacity: true)
        if !text.isEmpty { sink("#\(number) \(kind.sign) \(Redaction.line(text))") }
    }
}
