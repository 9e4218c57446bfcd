internal import Bytes

/// Writes JSON into a byte array, commas included.
///
/// The caller ensures the order: a `name` before each value of an object, an `end` for every `begin`. The output is
/// valid UTF-8, without needless escapes.
package struct JSONWriter: Sendable {
    /// The bytes that the writer started with, and everything written since.
    package private(set) var bytes: [UInt8]
    /// Whether the next value or name has a sibling before it.
    private var needsComma = false

    /// Appends to `bytes`; pass an array with capacity to write without allocation.
    package init(into bytes: [UInt8] = []) {
        self.bytes = bytes
        // One allocation for an object of usual size instead of five.
        if bytes.capacity == 0 { self.bytes.reserveCapacity(240) }
    }

    package mutating func beginObject() { begin(.openBrace) }

    package mutating func endObject() { end(.closeBrace) }

    package mutating func beginArray() { begin(.openBracket) }

    package mutating func endArray() { end(.closeBracket) }

    /// Starts a member of the current object; its value comes next.
    package mutating func name(_ name: String) {
        startValue()
        quote(name)
        bytes.append(.colon)
        needsComma = false
    }

    /// Writes text as a string. DEL is escaped too, because terminals act on it.
    package mutating func string(_ text: String) {
        startValue()
        quote(text)
        needsComma = true
    }

    /// Writes bytes as a string; invalid UTF-8 becomes U+FFFD.
    package mutating func string(utf8 text: Span<UInt8>) {
        startValue()
        if let valid = try? UTF8Span(validating: text) {
            quote(valid.span)
        } else {
            quote(text.text(text.indices))
        }
        needsComma = true
    }

    /// Writes all digits, also of a number that a double cannot hold exactly.
    package mutating func integer(_ value: some BinaryInteger) {
        startValue()
        append(digitsOf: value)
        needsComma = true
    }

    /// Writes a number; infinity and NaN, which JSON does not have, become `null`.
    package mutating func number(_ value: Double) {
        startValue()
        let text = value.description
        append(!value.isFinite ? "null" : text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
        needsComma = true
    }

    package mutating func bool(_ value: Bool) {
        startValue()
        append(value ? "true" : "false")
        needsComma = true
    }

    package mutating func null() {
        startValue()
        append("null")
        needsComma = true
    }

    /// Writes a value that is already JSON.
    package mutating func raw(_ json: Span<UInt8>) {
        startValue()
        bytes.append(bytes: json)
        needsComma = true
    }

    /// Writes a value read earlier; numbers keep their digits.
    package mutating func value(_ value: JSONValue) {
        switch value.kind {
        case .null: null()
        case .bool(let flag): bool(flag)
        case .number(let written): self.written(written)
        case .string(let text): string(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                name(member.name)
                self.value(member.value)
            }
            endObject()
        }
    }

    /// Converts notations that only JSON5 has.
    private mutating func written(_ value: JSONNumber) {
        guard value.isPlain else {
            if let integer = value.integer { return self.integer(integer) }
            return number(value.double)
        }
        startValue()
        append(value.text)
        needsComma = true
    }
}

extension JSONNumber {
    /// Whether the text is a number in RFC 8259 too.
    fileprivate var isPlain: Bool {
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard let first = digits.first, let last = digits.last, first.isDigit, last.isDigit else { return false }
        var before = first
        for byte in digits.dropFirst() {
            if byte | 0x20 == UInt8(ascii: "x") || (byte | 0x20 == UInt8(ascii: "e") && before == .dot) { return false }
            before = byte
        }
        return true
    }
}

extension JSONWriter {
    private mutating func startValue() {
        if needsComma { bytes.append(.comma) }
    }

    private mutating func begin(_ bracket: UInt8) {
        startValue()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func append(digitsOf value: some BinaryInteger) {
        guard let small = Int(exactly: value) else { return append(value.description) }
        bytes.append(decimal: small)
    }

    private mutating func quote(_ text: String) {
        var text = text
        text.makeContiguousUTF8()
        quote(text.utf8Span.span)
    }

    /// Copies UTF-8 in quotes, escaping the quote, the backslash and control characters (RFC 8259, section 7).
    private mutating func quote(_ text: Span<UInt8>) {
        bytes.append(.quote)
        var start = 0
        for index in 0..<text.count where text[index].needsEscape {
            bytes.append(text, start..<index)
            escape(text[index])
            start = index + 1
        }
        bytes.append(text, start..<text.count)
        bytes.append(.quote)
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case .quote: append("\\\"")
        case .backslash: append("\\\\")
        case .lineFeed: append("\\n")
        case .carriageReturn: append("\\r")
        case .tab: append("\\t")
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        default:
            append("\\u00")
            bytes.append(hex: UInt64(byte), digits: 2)
        }
    }
}

extension UInt8 {
    /// A byte that a string must escape, or DEL, which terminals act on.
    fileprivate var needsEscape: Bool {
        // One bit for each byte 0x00-0x3F: the controls and the quote.
        self < 0x40 ? 0x0000_0004_FFFF_FFFF as UInt64 &>> UInt64(self) & 1 == 1 : self == .backslash || self == 0x7F
    }
}
