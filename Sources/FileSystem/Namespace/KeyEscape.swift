// How keys are spelt as paths: a reversible escape, so that every key below the root prefix is
// reachable under exactly one path.
//
// A key's components (the bytes between `/`) are path names as they are. Only names that no path
// can carry are changed, by a suffix that says how:
//
//   NAME@pail-name   the component is exactly NAME. Used for the empty component (`a//b` is
//                    `a/@pail-name/b`, `/x` is `@pail-name/x`), for `.` and `..`, and for
//                    components that themselves end like an escape.
//   NAME@pail-file   the object NAME, where a directory NAME/ exists too and keeps the name.
//                    With an empty NAME: the marker object (`dir/`) of this directory, when it
//                    has a body.
//   PART@pail-more   a directory that holds the rest of a component too long for one path name
//                    (255 bytes): the component `PARTREST` is `PART@pail-more/REST`, once or
//                    repeatedly.
//
// A name ending in one of the suffixes is always an escape, so reading it back means stripping one
// suffix. A zero-byte marker is its directory. Nothing else is ever touched: spaces, Korean,
// `%+&=#?`, invalid UTF-8 are names as they are. (NUL is in no key.)

/// The escape between components of keys and names in directories.
enum KeyEscape {
    /// The suffixes, all of one length.
    enum Form: UInt8, CaseIterable {
        case plain, name, file, more

        var suffix: [UInt8] {
            switch self {
            case .plain: []
            case .name: Array("@pail-name".utf8)
            case .file: Array("@pail-file".utf8)
            case .more: Array("@pail-more".utf8)
            }
        }
    }

    /// How a component shows in one directory.
    enum Shown: Equatable {
        /// Its name there.
        case name([UInt8])
        /// The directory `PART@pail-more`, which holds it further down.
        case more([UInt8])
    }

    /// The longest name in a directory (NAME_MAX).
    static let nameLimit = 255
    static let suffixLength = 10
    /// Bytes of a component in one `@pail-more` name, less when that keeps a UTF-8 character whole.
    private static let partLength = 240
    private static let marker = Array("@pail-".utf8)

    /// The form a name has, by its suffix.
    static func form(of name: some RandomAccessCollection<UInt8>) -> Form {
        // Nearly no name ends in "e": decided by one byte.
        guard name.last == UInt8(ascii: "e"), name.count >= suffixLength else { return .plain }
        let tail = name.suffix(suffixLength)
        guard tail.starts(with: marker) else { return .plain }
        return Form.allCases.dropFirst().first { tail.elementsEqual($0.suffix) } ?? .plain
    }

    /// True for a component that can't be a name as it is, whatever its length.
    static func needsName(_ component: some RandomAccessCollection<UInt8>) -> Bool {
        let dot = UInt8(ascii: ".")
        if component.count <= 2, component.allSatisfy({ $0 == dot }) { return true }
        return form(of: component) != .plain
    }

    /// How a component shows in a directory that has already spelt its first bytes.
    ///
    /// - Parameters:
    ///   - component: the whole component, without `/`.
    ///   - spelt: bytes of it that the directory's own `@pail-more` names stand for; 0 in one
    ///     whose prefix ends in `/`.
    ///   - asFile: true for an object whose plain name belongs to a directory (or a marker's body).
    /// - Returns: nil when the component does not belong into that directory.
    static func shown(component: ArraySlice<UInt8>, spelt: Int, asFile: Bool) -> Shown? {
        var rest = component
        var spelt = spelt
        while true {
            let form: Form = asFile ? .file : needsName(rest) ? .name : .plain
            let suffix = form == .plain ? 0 : suffixLength
            if rest.count + suffix <= nameLimit {
                guard spelt == 0 else { return nil }
                return .name(form == .plain ? Array(rest) : Array(rest) + form.suffix)
            }
            let cut = cut(rest)
            if spelt == 0 { return .more(Array(rest.prefix(cut)) + Form.more.suffix) }
            if spelt < cut { return nil }
            spelt -= cut
            rest = rest.dropFirst(cut)
        }
    }

    /// All names of a component, outermost first: one, unless it is too long.
    static func names(component: [UInt8], asFile: Bool = false) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var spelt = 0
        while true {
            switch shown(component: component[...], spelt: spelt, asFile: asFile) {
            case .name(let name): return names + [name]
            case .more(let name):
                names.append(name)
                spelt += name.count - suffixLength
            case nil: return names
            }
        }
    }

    /// The bytes of the component that a name stands for (a piece of it for `@pail-more`).
    static func payload(of name: some RandomAccessCollection<UInt8>) -> [UInt8] {
        form(of: name) == .plain ? Array(name) : Array(name.dropLast(suffixLength))
    }

    /// Where a long component is cut: the end of the last whole UTF-8 character within the part.
    private static func cut(_ component: ArraySlice<UInt8>) -> Int {
        for length in stride(from: partLength, to: partLength - 4, by: -1)
        where component[component.startIndex + length] & 0xC0 != 0x80 {
            return length
        }
        return partLength
    }
}
