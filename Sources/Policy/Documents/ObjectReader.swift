internal import Bytes
internal import JSON

/// Reads the fields of one object by name and type, and reports each mistake at its position.
struct ObjectReader {
    let diagnostics: DiagnosticCollector
    /// The object's name in messages: `route "jobs.read"`.
    let owner: String
    let span: SourceSpan
    private let members: [JSONMember]

    /// Reports an error and returns `nil` if `value` is no object; reports fields that `shape` does not have.
    init?(_ value: JSONValue, at span: SourceSpan, of owner: String, shape: Shape, diagnostics: DiagnosticCollector) {
        guard case .object(let members) = value.kind else {
            diagnostics.error(.wrongType, "\(owner) must be an object, not \(value.kindName)", at: span)
            return nil
        }
        self.diagnostics = diagnostics
        self.owner = owner
        self.span = span
        self.members = Self.current(members, file: span.file, of: owner, shape: shape, diagnostics)
        let known = shape.fields
        for member in self.members where !known.contains(member.name) {
            let help = diagnostics.help(for: member, in: shape)
            diagnostics.error(
                .unknownField, "unknown field \"\(member.name)\" in \(owner)", at: self[member.nameRange],
                help: help.isEmpty ? ["its fields are \(known.joined(separator: ", "))"] : help)
        }
    }

    /// Reads an entry of a section, and checks its name, which is that of `what`, such as "a limit".
    init?(
        _ entry: NamedValue, _ what: String, named rule: IdentifierRule = .identifier, of owner: String, shape: Shape,
        _ diagnostics: DiagnosticCollector
    ) {
        IdentifierRule.check(entry.name, rule, what, at: entry.nameSpan, diagnostics)
        self.init(entry.value, at: entry.span, of: owner, shape: shape, diagnostics: diagnostics)
    }

    private subscript(range: SourceRange) -> SourceSpan { SourceSpan(file: span.file, range: range) }

    /// The span of a value of the object.
    func span(of value: JSONValue) -> SourceSpan { self[value.range] }

    /// The span of a field's name, or of the object if the field is absent.
    func nameSpan(of name: String) -> SourceSpan {
        members.first { $0.name == name }.map { self[$0.nameRange] } ?? span
    }

    /// The value of a field, `nil` if it is absent.
    subscript(name: String) -> JSONValue? {
        for member in members where member.name == name { return member.value }
        return nil
    }

    /// Reports an error if the field `name` is absent.
    func require(_ name: String, at span: SourceSpan, help: [String] = []) {
        guard self[name] == nil else { return }
        diagnostics.error(.missingField, "\(owner) needs the field \"\(name)\"", at: span, help: help)
    }

    func string(_ name: String) -> Located<String>? {
        guard let value = self[name] else { return nil }
        guard let text = value.string else {
            mismatch(name, value, "a string")
            return nil
        }
        return Located(value: text, span: self[value.range])
    }

    func bool(_ name: String) -> Located<Bool>? {
        guard let value = self[name] else { return nil }
        guard let flag = value.bool else {
            mismatch(name, value, "true or false")
            return nil
        }
        return Located(value: flag, span: self[value.range])
    }

    func integer(_ name: String, in range: ClosedRange<Int64>) -> Located<Int>? {
        self[name].flatMap { integer(name, $0, in: range) }
    }

    /// A number in an object whose names the author chooses.
    func integer(_ name: String, _ value: JSONValue, in range: ClosedRange<Int64>) -> Located<Int>? {
        guard let number = value.integer else {
            mismatch(name, value, "a whole number")
            return nil
        }
        guard range.contains(number) else {
            diagnostics.error(
                .outOfRange, "\"\(name)\" of \(owner) must be between \(range.lowerBound) and \(range.upperBound)",
                at: self[value.range])
            return nil
        }
        return Located(value: Int(number), span: self[value.range])
    }

    /// A list of different strings, at least one unless `mayBeEmpty`; a single string is a list of one.
    func strings(_ name: String, mayBeEmpty: Bool = false) -> Located<[Located<String>]>? {
        guard let all = texts(name) else { return nil }
        if !mayBeEmpty, self[name]?.array?.isEmpty == true {
            diagnostics.error(.emptyList, "\"\(name)\" of \(owner) must not be empty", at: all.span)
        }
        var different: [Located<String>] = []
        var spans: [String: SourceSpan] = [:]
        for text in all.value {
            if let first = spans[text.value] {
                diagnostics.duplicate("\"\(text.value)\" in \"\(name)\" of \(owner)", text.span, first: first)
            } else {
                spans[text.value] = text.span
                different.append(text)
            }
        }
        return Located(value: different, span: all.span)
    }

    /// A list of any strings; a single string is a list of one.
    func texts(_ name: String) -> Located<[Located<String>]>? {
        guard let value = self[name] else { return nil }
        let span = self[value.range]
        if let text = value.string { return Located(value: [Located(value: text, span: span)], span: span) }
        guard let elements = value.array else {
            mismatch(name, value, "a list of strings")
            return nil
        }
        var texts: [Located<String>] = []
        for element in elements {
            if let text = element.string {
                texts.append(Located(value: text, span: self[element.range]))
            } else {
                mismatch(name, element, "a list of strings")
            }
        }
        return Located(value: texts, span: span)
    }

    /// Reads an object field; messages call the object `owner`.
    func object(_ name: String, of owner: String, shape: Shape) -> ObjectReader? {
        guard let value = self[name] else { return nil }
        return ObjectReader(value, at: self[value.range], of: owner, shape: shape, diagnostics: diagnostics)
    }

    /// One of the words of a closed list.
    func word<Word>(_ name: String, of words: [(String, Word)]) -> Word? {
        guard let text = string(name) else { return nil }
        if let word = words.first(where: { $0.0 == text.value }) { return word.1 }
        let help = diagnostics.suggestion(for: text.value, among: words.map(\.0))
        diagnostics.error(
            .badValue, "\"\(name)\" of \(owner) cannot be \"\(text.value)\"", at: text.span,
            help: help.isEmpty ? ["write one of \(words.map { "\"\($0.0)\"" }.joined(separator: ", "))"] : help)
        return nil
    }

    /// A string that `parse` reads.
    func parsed<Value>(
        _ name: String, _ code: DiagnosticCode, _ what: String, help: String, _ parse: (String) -> Value?
    ) -> Located<Value>? {
        guard let text = string(name) else { return nil }
        guard let value = parse(text.value) else {
            // A text that is no hash may be the token itself.
            if code == .badHash { diagnostics.conceal(text.span) }
            let shown = code == .badHash ? "this" : "\"\(text.value)\""
            diagnostics.error(code, "\"\(name)\" of \(owner): \(shown) is not \(what)", at: text.span, help: [help])
            return nil
        }
        return Located(value: value, span: text.span)
    }

    func mismatch(_ name: String, _ value: JSONValue, _ expected: String) {
        diagnostics.error(
            .wrongType, "\"\(name)\" of \(owner) must be \(expected), not \(value.shortName)", at: self[value.range])
    }
}

extension ObjectReader {
    func duration(
        _ name: String, atLeast minimum: Duration = .milliseconds(1), atMost maximum: Duration = .seconds(31 * 86_400)
    ) -> Duration? {
        let found = parsed(name, .badDuration, "a duration", help: Units.durationHelp, Units.duration)
        guard let found else { return nil }
        guard (minimum...maximum).contains(found.value) else {
            diagnostics.error(
                .outOfRange,
                "\"\(name)\" of \(owner) must be between \(Units.text(of: minimum)) and \(Units.text(of: maximum))",
                at: found.span)
            return nil
        }
        return found.value
    }

    func rate(_ name: String) -> Located<Rate>? {
        parsed(name, .badRate, "a rate", help: Units.rateHelp, Units.rate)
    }

    func time(_ name: String) -> Located<Int64>? {
        parsed(name, .badTime, "a point in time", help: Units.timeHelp, RFC3339.epochSeconds)
    }

    /// A number of bytes, as a number or with a unit.
    func size(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = self[name] else { return nil }
        let bytes: Int
        if let number = value.integer {
            bytes = Int(number)
        } else if value.string == nil {
            mismatch(name, value, "a number of bytes or a string with a unit")
            return nil
        } else if let found = parsed(name, .badSize, "a size", help: Units.sizeHelp, Units.size) {
            bytes = found.value
        } else {
            return nil
        }
        guard range.contains(bytes) else {
            diagnostics.error(
                .outOfRange,
                "\"\(name)\" of \(owner) must be between \(range.lowerBound) and \(range.upperBound) bytes",
                at: self[value.range])
            return nil
        }
        return bytes
    }
}
