internal import HTTP

/// Text appended to a byte buffer without making a `String`: what heads, envelopes, log lines and metrics are built from.
extension [UInt8] {
    /// Appends UTF-8 text as it is.
    package mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends bytes as they are.
    package mutating func append(bytes: Span<UInt8>) {
        reserveCapacity(growing: bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }

    /// Appends an integer in decimal.
    package mutating func append(decimal value: some BinaryInteger) {
        guard value >= 0 else {
            append(UInt8(ascii: "-"))
            return append(unsigned: UInt64(value.magnitude))
        }
        append(unsigned: UInt64(value))
    }

    private mutating func append(unsigned value: UInt64) {
        guard value >= 10 else { return append(UInt8(ascii: "0") + UInt8(value)) }
        let start = count
        var rest = value
        while rest > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        }
        var low = start
        var high = count - 1
        while low < high {
            swapAt(low, high)
            low += 1
            high -= 1
        }
    }

    /// Appends `value` in decimal with leading zeros up to `width` digits.
    package mutating func append(decimal value: Int, width: Int) {
        var divisor = 1
        for _ in 1..<Swift.max(width, 1) { divisor *= 10 }
        var rest = value
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: (rest / divisor) % 10))
            rest %= divisor
            divisor /= 10
        }
    }

    /// Appends the low `digits` hexadecimal digits of `value` in lower case.
    package mutating func append(hex value: UInt64, digits: Int = 16) {
        var shift = digits * 4
        while shift > 0 {
            shift -= 4
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 0x0F
            append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
        }
    }

    /// Appends text as the inside of a JSON string (no quotes).
    package mutating func append(jsonText text: String) {
        for byte in text.utf8 { append(jsonByte: byte) }
    }

    /// Appends bytes a client controls as the inside of a JSON string: whatever is not printable US-ASCII becomes `\u00XX`,
    /// so the line stays valid UTF-8, stays one line, and cannot move a terminal's cursor.
    package mutating func append(untrustedJSONText bytes: Span<UInt8>) {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x7F { append(jsonByte: byte) } else { append(unicodeEscape: byte) }
        }
    }

    /// Appends text a client controls as the inside of a JSON string in printable US-ASCII.
    package mutating func append(untrustedJSONText text: String) {
        for scalar in text.unicodeScalars {
            if scalar.value < 0x7F {
                append(jsonByte: UInt8(truncatingIfNeeded: scalar.value))
            } else {
                for unit in scalar.utf16 {
                    append(text: "\\u")
                    append(hex: UInt64(unit), digits: 4)
                }
            }
        }
    }

    private mutating func append(jsonByte byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            append(UInt8(ascii: "\\"))
            append(byte)
        case 0x00..<0x20, 0x7F: append(unicodeEscape: byte)
        default: append(byte)
        }
    }

    private mutating func append(unicodeEscape byte: UInt8) {
        append(text: "\\u00")
        append(hex: UInt64(byte), digits: 2)
    }

    /// Appends an instant as RFC 3339 in UTC with milliseconds: `2026-11-21T09:44:19.250Z`.
    package mutating func append(timestamp epochMilliseconds: Int64) {
        var (seconds, milliseconds) = Int(epochMilliseconds).quotientAndRemainder(dividingBy: 1000)
        if milliseconds < 0 { (seconds, milliseconds) = (seconds - 1, milliseconds + 1000) }
        let date = CivilTime(epochSeconds: seconds)
        append(decimal: date.year, width: 4)
        append(UInt8(ascii: "-"))
        append(decimal: date.month, width: 2)
        append(UInt8(ascii: "-"))
        append(decimal: date.day, width: 2)
        append(UInt8(ascii: "T"))
        append(decimal: date.hour, width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: date.minute, width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: date.second, width: 2)
        append(UInt8(ascii: "."))
        append(decimal: milliseconds, width: 3)
        append(UInt8(ascii: "Z"))
    }

    /// Makes room for `extra` bytes without giving up amortized growth.
    private mutating func reserveCapacity(growing extra: Int) {
        if capacity - count < extra { reserveCapacity(Swift.max(capacity * 2, count + extra)) }
    }
}
