/// The first mistake in a text, and its position.
package struct JSONError: Error, Equatable {
    package let kind: Kind
    /// The bytes at fault; empty at the end of a text that ends too early.
    package let range: SourceRange

    /// What is wrong.
    package enum Kind: Equatable, Sendable {
        case invalidUTF8
        case byteOrderMark
        case unexpectedEnd(expected: String)
        case unexpected(found: String, expected: String)
        case trailingContent
        case trailingComma
        case unterminatedString
        case unterminatedComment
        case controlCharacter
        case invalidEscape
        case loneSurrogate
        case invalidNumber
        case leadingZero
        case duplicateName(String, first: SourceRange)
        case tooDeep(limit: Int)
        case tooManyValues(limit: Int)
    }

    package init(kind: Kind, range: SourceRange) {
        self.kind = kind
        self.range = range
    }

    /// One sentence without position, lower-case first letter, no full stop.
    package var message: String {
        switch kind {
        case .invalidUTF8: "the text is not valid UTF-8"
        case .byteOrderMark: "the text starts with a byte order mark"
        case .unexpectedEnd(let expected): "the text ends where \(expected) is expected"
        case .unexpected(let found, let expected): "unexpected \(found), expected \(expected)"
        case .trailingContent: "there is more text after the value"
        case .trailingComma: "a comma before the closing bracket is not allowed"
        case .unterminatedString: "the string is not closed on its line"
        case .unterminatedComment: "the comment is not closed"
        case .controlCharacter: "a control character in a string must be escaped"
        case .invalidEscape: "unknown escape sequence"
        case .loneSurrogate: "half of a surrogate pair is no character"
        case .invalidNumber: "this is not a number"
        case .leadingZero: "a number must not start with a zero"
        case .duplicateName(let name, _): "the name \"\(shortened(name))\" appears twice in one object"
        case .tooDeep(let limit): "values are nested deeper than \(limit) levels"
        case .tooManyValues(let limit): "there are more than \(limit) values"
        }
    }

    /// A name can be as long as the text.
    private func shortened(_ name: String) -> String {
        guard name.utf8.count > 400 else { return name }
        return String(String.UnicodeScalarView(name.unicodeScalars.prefix(100))) + "..."
    }
}

/// The limits of a text.
package struct JSONLimits: Equatable, Sendable {
    /// The maximum depth of nested arrays and objects.
    package var depth: Int
    /// The maximum of values, containers included.
    package var values: Int

    /// `depth` is capped at 512, so that no text can exhaust a thread's stack.
    package init(depth: Int = 64, values: Int = 10_000) {
        self.depth = min(depth, 512)
        self.values = values
    }
}

/// The grammar of a text.
package enum JSONSyntax: Equatable, Sendable {
    /// RFC 8259, without extensions.
    case json
    /// JSON5 1.0.0 (spec.json5.org): what people write by hand.
    case json5
}
