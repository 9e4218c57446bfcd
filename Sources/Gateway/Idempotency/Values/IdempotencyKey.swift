internal import Bytes

/// The name that a client gives to one request, however often it is sent (draft-ietf-httpapi-idempotency-key-header-07).
package struct IdempotencyKey: Equatable, Sendable {
    /// Its characters, without quotes: both ways to write a key name the same request.
    package let bytes: [UInt8]

    package static let maxLength = 255

    /// Why a field is not a key. The text says the rule, for the client.
    package enum Malformed: Error, Equatable, CaseIterable, Sendable {
        case empty, tooLong, unclosed, afterQuote, escape, character, separator, several

        package var rule: String {
            switch self {
            case .empty: "it must not be empty"
            case .tooLong: "it must have at most \(IdempotencyKey.maxLength) characters"
            case .unclosed: "a quoted key must end with a quote"
            case .afterQuote: "nothing may follow the closing quote"
            case .escape: "in a quoted key a backslash must precede a quote or a backslash"
            case .character: "it must consist of visible ASCII characters, without spaces"
            case .separator: "a key with a quote, a comma or a semicolon must be quoted"
            case .several: "it must be one field, sent once"
            }
        }
    }

    /// Reads the value of a field: a string of structured fields (RFC 9651, section 3.3.3), or the characters alone.
    ///
    /// A string may have spaces there, but a key may not. A bare key has none of the characters that end a value in a list or
    /// begin a string: a proxy may have joined two fields with a comma (RFC 9110, section 5.3).
    package init(_ value: Span<UInt8>) throws(Malformed) {
        guard !value.isEmpty else { throw .empty }
        bytes = value[0] == .quote ? try Self.quoted(value) : try Self.bare(value)
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.count <= Self.maxLength else { throw .tooLong }
    }

    private static func bare(_ value: Span<UInt8>) throws(Malformed) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in value.indices {
            let byte = value[index]
            guard isVisible(byte) else { throw .character }
            guard byte != .quote, byte != .comma, byte != .semicolon else { throw .separator }
            bytes.append(byte)
        }
        return bytes
    }

    private static func quoted(_ value: Span<UInt8>) throws(Malformed) -> [UInt8] {
        var bytes: [UInt8] = []
        var index = 1
        while index < value.count {
            var byte = value[index]
            if byte == .quote {
                guard index == value.count - 1 else { throw .afterQuote }
                return bytes
            }
            if byte == .backslash {
                index += 1
                guard index < value.count else { throw .unclosed }
                byte = value[index]
                guard byte == .quote || byte == .backslash else { throw .escape }
            }
            guard isVisible(byte) else { throw .character }
            bytes.append(byte)
            index += 1
        }
        throw .unclosed
    }

    private static func isVisible(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }
}
