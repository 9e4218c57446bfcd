/// Hexadecimal digits: read in either case, written in lower case.
extension UInt8 {
    /// The value of a digit; `nil` for any other byte.
    @inlinable
    package var hexDigitValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }

    @inlinable package var isHexDigit: Bool { isDigit || (self | 0x20) &- 0x61 < 6 }

    /// The digit for the low four bits.
    @inlinable
    package static func hexDigit(_ value: UInt64) -> UInt8 {
        let nibble = UInt8(truncatingIfNeeded: value) & 0x0F
        return nibble + (nibble < 10 ? 0x30 : 0x57)
    }
}

extension UInt64 {
    /// Reads 1 to 16 hexadecimal digits and nothing else.
    @inlinable
    package init?(hex digits: Span<UInt8>) {
        guard !digits.isEmpty, digits.count <= 16 else { return nil }
        var value: UInt64 = 0
        for index in digits.indices {
            guard let digit = digits[index].hexDigitValue else { return nil }
            value = value << 4 | UInt64(digit)
        }
        self = value
    }

    /// The eight digits of a value, the first one in the lowest byte.
    @inlinable
    init(hexDigitsOf value: UInt32) {
        var nibbles = UInt64(value.byteSwapped)
        nibbles = (nibbles & 0xFFFF_0000) << 16 | nibbles & 0xFFFF
        nibbles = (nibbles & 0x0000_FF00_0000_FF00) << 8 | nibbles & 0x0000_00FF_0000_00FF
        nibbles = (nibbles & 0x000F_000F_000F_000F) << 8 | (nibbles & 0x00F0_00F0_00F0_00F0) >> 4
        // Values above nine carry into bit 4; these get the distance to the letters.
        let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        self = nibbles + 0x3030_3030_3030_3030 + letters * 0x27
    }
}

extension [UInt8] {
    /// Appends the low `digits` digits of `value`.
    @inlinable
    package mutating func append(hex value: UInt64, digits: Int = 16) {
        guard digits == 16 else {
            return append(addingCapacity: digits) { output in
                for digit in 1...digits { output.append(.hexDigit(value >> UInt64((digits - digit) * 4))) }
            }
        }
        append(addingCapacity: 16) { output in output.append(hex: value) }
    }
}

extension OutputSpan<UInt8> {
    /// Appends all digits of a value, eight at a time: every response has ids.
    @inlinable
    package mutating func append(hex value: UInt64) {
        append(word: UInt64(hexDigitsOf: UInt32(value >> 32)))
        append(word: UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: value)))
    }

    /// Appends the bytes of a word, the lowest one first.
    @inlinable
    mutating func append(word: UInt64) {
        var word = word
        for _ in 0..<8 {
            append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
}

extension String {
    /// Two digits for each byte.
    package init(hex bytes: [UInt8]) {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes { text.append(hex: UInt64(byte), digits: 2) }
        self.init(decoding: text, as: UTF8.self)
    }
}
