// A push parser over expat: bytes in as they arrive, elements out. No DTD, hence no entities beyond
// the five of XML itself; depth, text and size are bounded.

internal import CExpat
internal import Glibc

/// Takes elements. `name` is without attributes; `depth` is 1 for the root.
protocol XMLElements: AnyObject {
    func begin(_ name: XMLName, depth: Int)
    /// - Parameter text: the character data directly inside, entities resolved.
    func end(_ name: XMLName, depth: Int, text: [UInt8])
}

/// An element's name during a callback.
@safe struct XMLName {
    fileprivate let pointer: UnsafePointer<CChar>

    static func == (name: XMLName, text: StaticString) -> Bool {
        unsafe strcmp(
            name.pointer, UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self))
            == 0
    }

    var text: String { unsafe String(cString: pointer) }
}

/// Why parsing stopped: one line.
struct XMLProblem: Error, Hashable {
    var message: String
}

/// One document.
@safe final class XMLReader {
    /// Bytes a document may have, and bytes of text in one element.
    let sizeLimit: Int
    static let textLimit = 64 << 10
    static let depthLimit = 16

    private let parser: XML_Parser
    private let elements: any XMLElements
    private var hasBegun = false
    /// Behind a pointer: a listing's page has 20,000 callbacks, and a class's own properties would be
    /// looked up in the runtime's table of accesses at each of them.
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var depth = 0
        var size = 0
        var text: [UInt8] = []
        var problem: XMLProblem?

        /// Takes character data. False when it is too much.
        mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
            guard text.count + bytes.count <= XMLReader.textLimit else { return false }
            var bits: UInt8 = 0
            for index in 0..<bytes.count { bits |= unsafe bytes[index] }
            if bits < 0x80 {
                unsafe text.append(contentsOf: bytes)
                return true
            }
            var isSecond = false
            for index in 0..<bytes.count {
                let byte = unsafe bytes[index]
                if isSecond {
                    // U+0080 to U+00FF in UTF-8: a byte of the document.
                    text[text.count - 1] = text[text.count - 1] << 6 | (byte & 0x3F)
                    isSecond = false
                } else {
                    text.append(byte)
                    isSecond = byte == 0xC2 || byte == 0xC3
                }
            }
            return true
        }
    }

    init(_ elements: any XMLElements, sizeLimit: Int) {
        self.elements = elements
        self.sizeLimit = sizeLimit
        // Latin-1 makes every byte a character: some servers write keys raw that are not UTF-8, and
        // a listing must not fail for one of them. `append` turns the characters back into bytes.
        guard let parser = unsafe XML_ParserCreate("ISO-8859-1") else {
            fatalError("no memory for expat")
        }
        unsafe self.parser = parser
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State())
        unsafe XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        unsafe XML_SetElementHandler(parser, xmlBegin, xmlEnd)
        unsafe XML_SetCharacterDataHandler(parser, xmlText)
        unsafe XML_SetStartDoctypeDeclHandler(parser, xmlDoctype)
    }

    deinit {
        unsafe XML_ParserFree(parser)
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    private var problem: XMLProblem? {
        get { unsafe state.pointee.problem }
        set { unsafe state.pointee.problem = newValue }
    }

    /// Parses the next bytes.
    func parse(_ bytes: UnsafeRawBufferPointer) throws(XMLProblem) {
        if let problem { throw problem }
        unsafe state.pointee.size += bytes.count
        guard unsafe state.pointee.size <= sizeLimit else {
            throw fail("more than \(sizeLimit) bytes of XML")
        }
        guard let base = bytes.baseAddress else { return }
        var done = 0
        // A server that works on its answer for long keeps the connection alive with white space,
        // which may not stand before an XML declaration.
        if !hasBegun {
            while unsafe done < bytes.count && Self.isSpace(bytes[done]) { done += 1 }
            hasBegun = done < bytes.count
        }
        while done < bytes.count {
            // expat counts in Int32.
            let count = min(bytes.count - done, 1 << 20)
            let status = unsafe XML_Parse(
                parser, base.advanced(by: done).assumingMemoryBound(to: CChar.self), Int32(count),
                0)
            try check(status)
            done += count
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// Says that the document is over.
    func finish() throws(XMLProblem) {
        if let problem { throw problem }
        try check(unsafe XML_Parse(parser, nil, 0, 1))
    }

    private func check(_ status: XML_Status) throws(XMLProblem) {
        guard status != XML_STATUS_OK else { return }
        if let problem { throw problem }
        let reason = unsafe XML_ErrorString(XML_GetErrorCode(parser))
            .map { unsafe String(cString: $0) }
        throw fail("XML: " + (reason ?? "broken"))
    }

    private func fail(_ message: String) -> XMLProblem {
        let problem = XMLProblem(message: message)
        self.problem = problem
        return problem
    }

    fileprivate func stop(_ message: String) {
        if problem == nil { problem = XMLProblem(message: message) }
        unsafe XML_StopParser(parser, XML_Bool(0))
    }

    fileprivate func begin(_ name: XMLName) {
        guard problem == nil else { return }
        unsafe state.pointee.depth += 1
        let depth = unsafe state.pointee.depth
        guard depth <= Self.depthLimit else { return stop("XML nests too deeply") }
        unsafe state.pointee.text.removeAll(keepingCapacity: true)
        elements.begin(name, depth: depth)
    }

    fileprivate func end(_ name: XMLName) {
        guard problem == nil else { return }
        unsafe elements.end(name, depth: state.pointee.depth, text: state.pointee.text)
        unsafe state.pointee.text.removeAll(keepingCapacity: true)
        unsafe state.pointee.depth -= 1
    }

    fileprivate func append(_ bytes: UnsafeRawBufferPointer) {
        guard problem == nil else { return }
        if unsafe !state.pointee.append(bytes) { stop("an XML element has too much text") }
    }
}

/// The reader of a callback. It is held by whoever parses, so it needs no counting here.
private func with(_ data: UnsafeMutableRawPointer?, _ body: (XMLReader) -> Void) {
    unsafe Unmanaged<XMLReader>.fromOpaque(data!)._withUnsafeGuaranteedRef { body($0) }
}

private let xmlBegin: XML_StartElementHandler = { data, name, _ in
    unsafe with(data) { unsafe $0.begin(XMLName(pointer: name!)) }
}

private let xmlEnd: XML_EndElementHandler = { data, name in
    unsafe with(data) { unsafe $0.end(XMLName(pointer: name!)) }
}

private let xmlText: XML_CharacterDataHandler = { data, bytes, count in
    unsafe with(data) {
        unsafe $0.append(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
    }
}

private let xmlDoctype: XML_StartDoctypeDeclHandler = { data, _, _, _, _ in
    unsafe with(data) { $0.stop("the answer has a DTD, which S3 never sends") }
}
