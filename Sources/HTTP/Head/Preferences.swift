internal import Bytes

/// The preferences of a request that the gateway knows (RFC 7240): what the client would like, and does not insist on.
///
/// Others are ignored, and so is a value that cannot be read (section 2). The first of several with the same name counts.
package struct Preferences: Equatable, Sendable {
    /// The seconds that the client is willing to wait (section 4.3). A number that is too large is `Int.max`.
    package private(set) var wait: Int?
    /// How the client wants the request to be handled (section 4.4), in lower case; a private value is possible.
    package private(set) var handling: String?

    /// The value of `handling` with which a request only asks what would happen.
    package static let dryRun = "dry-run"

    package init() {}

    /// Reads all field lines `Prefer` of a head.
    package init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
        for field in head.fields where field.name == .other && bytes.spells("prefer", in: field.nameRange) {
            read(bytes, field.value)
        }
    }

    /// Reads one field value: members `name`, `name=value`, with parameters after a semicolon, separated by commas.
    mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        var start = range.lowerBound
        var isQuoted = false
        var isEscaped = false
        for index in range {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = isQuoted && !isEscaped && byte == UInt8(ascii: "\\")
            if byte == .comma, !isQuoted {
                readMember(bytes, start..<index)
                start = index + 1
            }
        }
        // A quotation that does not end has no value that could be read.
        if !isQuoted { readMember(bytes, start..<range.upperBound) }
    }

    private mutating func readMember(_ bytes: Span<UInt8>, _ member: Range<Int>) {
        let end = member.first { bytes[$0] == .semicolon } ?? member.upperBound
        let equals = (member.lowerBound..<end).first { bytes[$0] == UInt8(ascii: "=") } ?? end
        let name = bytes.trimmed(member.lowerBound..<equals)
        let value = bytes.withoutQuotes(bytes.trimmed(min(equals + 1, end)..<end))
        if wait == nil, bytes.spells("wait", in: name) {
            let digits = bytes.extracting(value)
            guard !value.isEmpty, value.allSatisfy({ bytes[$0].isDigit }) else { return }
            wait = Int(decimal: digits) ?? .max
        } else if handling == nil, bytes.spells("handling", in: name), !value.isEmpty {
            handling = bytes.text(value).lowercased()
        }
    }
}

extension Span<UInt8> {
    /// The content of a quoted string. The known values need no escapes.
    fileprivate func withoutQuotes(_ range: Range<Int>) -> Range<Int> {
        guard range.count >= 2, self[range.lowerBound] == UInt8(ascii: "\""),
            self[range.upperBound - 1] == UInt8(ascii: "\"")
        else { return range }
        return range.lowerBound + 1..<range.upperBound - 1
    }
}
