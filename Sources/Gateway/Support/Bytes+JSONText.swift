internal import Bytes

/// Appending to a JSON string in a byte buffer.
extension [UInt8] {
    /// Appends text to a JSON string, without quotes.
    package mutating func append(jsonText text: String) {
        if text.utf8.span.isPlainText { return append(contentsOf: text.utf8) }
        for byte in text.utf8 { append(jsonByte: byte) }
    }

    /// Appends bytes from a client to a JSON string. Bytes that are not printable US-ASCII become `\u00XX`: the line
    /// stays valid UTF-8, stays one line, and cannot control a terminal.
    package mutating func append(untrustedJSONText bytes: Span<UInt8>) {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x7F { append(jsonByte: byte) } else { append(unicodeEscape: UInt16(byte)) }
        }
    }

    /// Appends text from a client to a JSON string, in printable US-ASCII.
    package mutating func append(untrustedJSONText text: String) {
        if text.utf8.span.isPlainText { return append(contentsOf: text.utf8) }
        for scalar in text.unicodeScalars {
            if scalar.value < 0x7F {
                append(jsonByte: UInt8(truncatingIfNeeded: scalar.value))
            } else {
                for unit in scalar.utf16 { append(unicodeEscape: unit) }
            }
        }
    }

    private mutating func append(jsonByte byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            append(UInt8(ascii: "\\"))
            append(byte)
        case 0x00..<0x20, 0x7F: append(unicodeEscape: UInt16(byte))
        default: append(byte)
        }
    }

    private mutating func append(unicodeEscape unit: UInt16) {
        append(text: "\\u")
        append(hex: UInt64(unit), digits: 4)
    }
}

extension Span<UInt8> {
    /// Whether all bytes are printable US-ASCII that needs no escape in a quoted or JSON string.
    var isPlainText: Bool {
        for index in indices {
            let byte = self[index]
            if byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == 0x5C { return false }
        }
        return true
    }
}
