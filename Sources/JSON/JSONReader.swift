internal import Bytes

extension JSONValue {
    /// Reads one whole text.
    ///
    /// A name that appears twice in one object is an error in both grammars: if two programs pick different ones, an
    /// attacker can make them disagree on a request.
    package static func read(
        _ bytes: Span<UInt8>, as syntax: JSONSyntax = .json, limits: JSONLimits = .init()
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(syntax: syntax, limits: limits)
        return try reader.text(bytes)
    }

    /// Reads one whole text like `read(_:as:limits:)`, but continues after a name that appears twice, to find all of
    /// them: each is added to `duplicates`, and its first value stays.
    package static func read(
        _ bytes: Span<UInt8>, as syntax: JSONSyntax, limits: JSONLimits, duplicates: inout [JSONError]
    ) throws(JSONError) -> JSONValue {
        var reader = JSONReader(syntax: syntax, limits: limits)
        reader.duplicates = []
        defer { duplicates += reader.duplicates ?? [] }
        return try reader.text(bytes)
    }
}

/// A recursive-descent reader; `at` is its position in the input.
struct JSONReader {
    let syntax: JSONSyntax
    let limits: JSONLimits
    var at = 0
    var values = 0
    /// The duplicate names so far; `nil` if the first one is thrown.
    var duplicates: [JSONError]?

    init(syntax: JSONSyntax, limits: JSONLimits) {
        self.syntax = syntax
        self.limits = limits
    }

    mutating func text(_ input: Span<UInt8>) throws(JSONError) -> JSONValue {
        try validate(input)
        try skipBlanks(input)
        let value = try value(input, depth: 0)
        try skipBlanks(input)
        guard at == input.count else { throw error(.trailingContent, at..<input.count) }
        return value
    }

    /// Checks the encoding once, so that later code may cut the text at any ASCII byte.
    private func validate(_ input: Span<UInt8>) throws(JSONError) {
        do {
            _ = try UTF8Span(validating: input)
        } catch {
            throw self.error(.invalidUTF8, error.byteOffsets)
        }
        if syntax == .json, input.count >= 3, input[0] == 0xEF, input[1] == 0xBB, input[2] == 0xBF {
            throw error(.byteOrderMark, 0..<3)
        }
    }

    private mutating func value(_ input: Span<UInt8>, depth: Int) throws(JSONError) -> JSONValue {
        guard at < input.count else { throw end(input, expected: "a value") }
        values += 1
        guard values <= limits.values else { throw error(.tooManyValues(limit: limits.values), at..<at + 1) }
        let start = at
        let kind: JSONValue.Kind
        switch input[at] {
        case .openBrace: kind = .object(try object(input, depth: depth + 1))
        case .openBracket: kind = .array(try array(input, depth: depth + 1))
        case .quote: kind = .string(try string(input, closing: .quote))
        case .apostrophe where syntax == .json5: kind = .string(try string(input, closing: .apostrophe))
        case UInt8(ascii: "t") where takes("true", input): kind = .bool(true)
        case UInt8(ascii: "f") where takes("false", input): kind = .bool(false)
        case UInt8(ascii: "n") where takes("null", input): kind = .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): kind = .number(try number(input))
        case UInt8(ascii: "+"), .dot, UInt8(ascii: "I"), UInt8(ascii: "N"):
            guard syntax == .json5 else { throw unexpected(input, expected: "a value") }
            kind = .number(try number(input))
        default: throw unexpected(input, expected: "a value")
        }
        return JSONValue(kind: kind, range: SourceRange(start..<at))
    }

    private mutating func array(_ input: Span<UInt8>, depth: Int) throws(JSONError) -> [JSONValue] {
        guard depth <= limits.depth else { throw error(.tooDeep(limit: limits.depth), at..<at + 1) }
        at += 1
        var elements: [JSONValue] = []
        try skipBlanks(input)
        if takes(.closeBracket, input) { return elements }
        while true {
            elements.append(try value(input, depth: depth))
            try skipBlanks(input)
            if takes(.closeBracket, input) { return elements }
            guard takes(.comma, input) else { throw unexpected(input, expected: "\",\" or \"]\"") }
            let comma = at - 1
            try skipBlanks(input)
            guard at < input.count, input[at] == .closeBracket else { continue }
            guard syntax == .json5 else { throw error(.trailingComma, comma..<comma + 1) }
            at += 1
            return elements
        }
    }

    private mutating func object(_ input: Span<UInt8>, depth: Int) throws(JSONError) -> [JSONMember] {
        guard depth <= limits.depth else { throw error(.tooDeep(limit: limits.depth), at..<at + 1) }
        at += 1
        var members: [JSONMember] = []
        var names = SeenNames()
        try skipBlanks(input)
        if takes(.closeBrace, input) { return members }
        while true {
            let start = at
            let name = try name(input)
            let range = SourceRange(start..<at)
            let first = names.insert(name, range, after: members)
            if let first {
                let error = JSONError(kind: .duplicateName(name, first: first), range: range)
                guard duplicates != nil else { throw error }
                duplicates?.append(error)
            }
            try skipBlanks(input)
            guard takes(.colon, input) else { throw unexpected(input, expected: "\":\"") }
            try skipBlanks(input)
            let value = try value(input, depth: depth)
            if first == nil { members.append(JSONMember(name: name, nameRange: range, value: value)) }
            try skipBlanks(input)
            if takes(.closeBrace, input) { return members }
            guard takes(.comma, input) else { throw unexpected(input, expected: "\",\" or \"}\"") }
            let comma = at - 1
            try skipBlanks(input)
            guard at < input.count, input[at] == .closeBrace else { continue }
            guard syntax == .json5 else { throw error(.trailingComma, comma..<comma + 1) }
            at += 1
            return members
        }
    }

    private mutating func name(_ input: Span<UInt8>) throws(JSONError) -> String {
        guard at < input.count else { throw end(input, expected: "a name") }
        if input[at] == .quote { return try string(input, closing: .quote) }
        guard syntax == .json5 else { throw unexpected(input, expected: "a name in double quotes") }
        if input[at] == .apostrophe { return try string(input, closing: .apostrophe) }
        return try identifier(input)
    }
}

extension JSONReader {
    /// Steps over `byte` if it is the next one.
    mutating func takes(_ byte: UInt8, _ input: Span<UInt8>) -> Bool {
        guard at < input.count, input[at] == byte else { return false }
        at += 1
        return true
    }

    /// Steps over `word` if it is the next whole word.
    mutating func takes(_ word: StaticString, _ input: Span<UInt8>) -> Bool {
        let length = word.utf8CodeUnitCount
        guard at + length <= input.count else { return false }
        var index = at
        for byte in word.description.utf8 {
            guard input[index] == byte else { return false }
            index += 1
        }
        if index < input.count, input[index].isWordByte { return false }
        at = index
        return true
    }

    func error(_ kind: JSONError.Kind, _ range: Range<Int>) -> JSONError {
        JSONError(kind: kind, range: SourceRange(range))
    }

    func end(_ input: Span<UInt8>, expected: String) -> JSONError {
        error(.unexpectedEnd(expected: expected), input.count..<input.count)
    }

    /// The error for the text at `at`. The message shows a whole word if there is one.
    func unexpected(_ input: Span<UInt8>, expected: String) -> JSONError {
        guard at < input.count else { return end(input, expected: expected) }
        var upper = at
        while upper < input.count, upper - at < 32, input[upper].isWordByte { upper += 1 }
        if upper == at { upper = at + scalarLength(input, at: at) }
        let found: String
        switch input[at] {
        case 0..<0x20, 0x7F: found = "control character"
        case .quote: found = "'\"'"
        default: found = "\"\(text(input, at..<upper))\""
        }
        return error(.unexpected(found: found, expected: expected), at..<upper)
    }

    /// The text of `range`, whose ends are between characters of a validated input.
    func text(_ input: Span<UInt8>, _ range: Range<Int>) -> String {
        guard let valid = try? UTF8Span(validating: input.extracting(range)) else {
            preconditionFailure("the input was validated and is cut between characters")
        }
        return String(copying: valid)
    }
}

/// The names of an object so far.
///
/// Most objects have a handful of members, for which comparing is cheaper than hashing; a policy file's token table has
/// thousands.
private struct SeenNames {
    private var table: [ExactName: SourceRange] = [:]

    /// Returns the range of an earlier `name`, or `nil` if it is new.
    mutating func insert(_ name: String, _ range: SourceRange, after members: [JSONMember]) -> SourceRange? {
        if members.count < 12 {
            for member in members where member.name.hasSameBytes(as: name) { return member.nameRange }
            return nil
        }
        if table.isEmpty {
            for member in members { table[ExactName(text: member.name)] = member.nameRange }
        }
        if let first = table[ExactName(text: name)] { return first }
        table[ExactName(text: name)] = range
        return nil
    }

    private struct ExactName: Hashable {
        let text: String

        static func == (one: Self, other: Self) -> Bool { one.text.hasSameBytes(as: other.text) }

        // Hashes the bytes, eight at a time, because `==` compares bytes; see `hasSameBytes`.
        func hash(into hasher: inout Hasher) {
            let bytes = text.utf8.span
            var word: UInt64 = 0
            for index in bytes.indices {
                word = word << 8 | UInt64(bytes[index])
                if index & 7 == 7 { hasher.combine(word) }
            }
            hasher.combine(word)
            hasher.combine(bytes.count)
        }
    }
}
