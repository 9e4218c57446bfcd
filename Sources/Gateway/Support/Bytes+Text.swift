internal import HTTP

/// Text appended to a byte buffer without making a `String`: what heads, envelopes, log lines and metrics are built from.
///
/// Fixed-width pieces are written through an `OutputSpan`, which checks the array's uniqueness and capacity once per piece
/// instead of once per byte.
extension [UInt8] {
    /// Appends UTF-8 text as it is.
    package mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends bytes as they are.
    package mutating func append(bytes: Span<UInt8>) {
        append(addingCapacity: bytes.count) { out in
            for index in bytes.indices { out.append(bytes[index]) }
        }
    }

    /// Appends tenths with one decimal: 15 as `1.5`.
    mutating func append(tenths value: UInt64) {
        var digits = InlineArray<22, UInt8>(repeating: 0)
        digits[21] = .zeroDigit + UInt8(truncatingIfNeeded: value % 10)
        digits[20] = UInt8(ascii: ".")
        var first = 20
        var rest = value / 10
        repeat {
            first -= 1
            digits[first] = .zeroDigit + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        append(addingCapacity: 22) { out in
            for index in first..<22 { out.append(digits[index]) }
        }
    }

    /// Appends the low `digits` hexadecimal digits of `value` in lower case.
    package mutating func append(hex value: UInt64, digits: Int = 16) {
        guard digits == 16 else {
            return append(addingCapacity: digits) { out in
                for digit in 1...digits { out.append(.hexDigit(value >> UInt64((digits - digit) * 4))) }
            }
        }
        append(addingCapacity: 16) { out in out.append(hex: value) }
    }

    /// Appends text as the inside of a JSON string (no quotes).
    package mutating func append(jsonText text: String) {
        if text.utf8.span.isPlainText { return append(contentsOf: text.utf8) }
        for byte in text.utf8 { append(jsonByte: byte) }
    }

    /// Appends bytes a client controls as the inside of a JSON string: whatever is not printable US-ASCII becomes `\u00XX`,
    /// so the line stays valid UTF-8, stays one line, and cannot move a terminal's cursor.
    package mutating func append(untrustedJSONText bytes: Span<UInt8>) {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x7F { append(jsonByte: byte) } else { append(unicodeEscape: UInt16(byte)) }
        }
    }

    /// Appends text a client controls as the inside of a JSON string in printable US-ASCII.
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

    /// Appends an instant as RFC 3339 in UTC with milliseconds: `2026-11-21T09:44:19.250Z`.
    package mutating func append(timestamp epochMilliseconds: Int64) {
        var (seconds, milliseconds) = Int(epochMilliseconds).quotientAndRemainder(dividingBy: 1000)
        if milliseconds < 0 { (seconds, milliseconds) = (seconds - 1, milliseconds + 1000) }
        append(timestampTo: seconds)
        append(timestampFrom: milliseconds)
    }

    /// Appends a time stamp down to its seconds, for callers that write many within one second.
    mutating func append(timestampTo epochSeconds: Int) {
        let date = CivilTime(epochSeconds: epochSeconds)
        append(addingCapacity: 19) { out in
            out.append(twoDigits: date.year / 100)
            out.append(twoDigits: date.year)
            out.append(UInt8(ascii: "-"))
            out.append(twoDigits: date.month)
            out.append(UInt8(ascii: "-"))
            out.append(twoDigits: date.day)
            out.append(UInt8(ascii: "T"))
            out.append(twoDigits: date.hour)
            out.append(UInt8(ascii: ":"))
            out.append(twoDigits: date.minute)
            out.append(UInt8(ascii: ":"))
            out.append(twoDigits: date.second)
        }
    }

    /// Appends the rest of a time stamp: the milliseconds and the zone.
    mutating func append(timestampFrom milliseconds: Int) {
        append(addingCapacity: 5) { out in
            out.append(UInt8(ascii: "."))
            out.append(.zeroDigit + UInt8(truncatingIfNeeded: milliseconds / 100 % 10))
            out.append(twoDigits: milliseconds)
            out.append(UInt8(ascii: "Z"))
        }
    }
}

extension OutputSpan<UInt8> {
    /// Appends all hexadecimal digits of a value, eight at a time: ids go into every answer.
    mutating func append(hex value: UInt64) {
        append(eight: UInt64(hexDigitsOf: UInt32(value >> 32)))
        append(eight: UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: value)))
    }

    /// Appends the bytes of a word, the lowest one first.
    private mutating func append(eight word: UInt64) {
        var word = word
        for _ in 0..<8 {
            append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }

    fileprivate mutating func append(twoDigits value: Int) {
        append(.zeroDigit + UInt8(truncatingIfNeeded: value / 10 % 10))
        append(.zeroDigit + UInt8(truncatingIfNeeded: value % 10))
    }
}

extension UInt8 {
    static let zeroDigit = UInt8(ascii: "0")

    /// The digit for the low four bits.
    static func hexDigit(_ value: UInt64) -> UInt8 {
        let nibble = UInt8(truncatingIfNeeded: value) & 0x0F
        return nibble + (nibble < 10 ? 0x30 : 0x57)
    }
}

extension Span<UInt8> {
    /// Whether all bytes are printable US-ASCII that a quoted or JSON string holds as it is.
    var isPlainText: Bool {
        for index in indices {
            let byte = self[index]
            if byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == 0x5C { return false }
        }
        return true
    }
}

extension UInt64 {
    /// The eight hexadecimal digits of a value, the first one in the lowest byte.
    fileprivate init(hexDigitsOf value: UInt32) {
        var nibbles = UInt64(value.byteSwapped)
        nibbles = (nibbles & 0xFFFF_0000) << 16 | nibbles & 0xFFFF
        nibbles = (nibbles & 0x0000_FF00_0000_FF00) << 8 | nibbles & 0x0000_00FF_0000_00FF
        nibbles = (nibbles & 0x000F_000F_000F_000F) << 8 | (nibbles & 0x00F0_00F0_00F0_00F0) >> 4
        // Bytes above nine carry into their fourth bit; for those the letters' distance is added.
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        self = nibbles + 0x3030_3030_3030_3030 + letters * 0x27
    }
}
