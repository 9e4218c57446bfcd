extension Int {
    /// Reads 1 to 18 digits, which always fit, and nothing else: no sign, no space.
    @inlinable
    package init?(decimal digits: Span<UInt8>) {
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var value = 0
        for index in digits.indices {
            let digit = digits[index] &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ Int(digit)
        }
        self = value
    }
}

extension [UInt8] {
    /// Appends a number in decimal digits.
    package mutating func append(decimal number: Int) {
        if number < 0 { append(.hyphen) }
        append(decimal: UInt64(number.magnitude))
    }

    /// Appends a number in decimal digits.
    package mutating func append(decimal number: UInt64) {
        if number < 10 { return append(.zeroDigit + UInt8(truncatingIfNeeded: number)) }
        append(addingCapacity: 20) { output in output.append(decimal: number) }
    }

    /// Appends tenths with one decimal: 15 as `1.5`.
    package mutating func append(tenths value: UInt64) {
        append(decimal: value / 10)
        append(addingCapacity: 2) { output in
            output.append(.dot)
            output.append(.zeroDigit + UInt8(truncatingIfNeeded: value % 10))
        }
    }
}

extension UInt64 {
    /// The eight decimal digits of a value below 100,000,000 as numbers, the first one in the lowest byte.
    ///
    /// Each step splits all parts at once: into groups of four digits, of two, of one. The multiplications divide by 100 and by
    /// 10 exactly, for dividends below 10,000 and below 100.
    init(decimalDigitsOf value: UInt32) {
        let fours = UInt64(value / 10_000) | UInt64(value % 10_000) << 32
        let hundreds = (fours &* 10_486) >> 20 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000F_000F_000F_000F
        self = tens | (twos &- tens &* 10) << 8
    }
}

extension OutputSpan<UInt8> {
    /// Appends a number in decimal digits, at most 20 with its sign.
    package mutating func append(decimal number: Int) {
        if number < 0 { append(.hyphen) }
        append(decimal: UInt64(number.magnitude))
    }

    /// Appends a number in decimal digits, at most 20.
    package mutating func append(decimal number: UInt64) {
        if number < 10 { return append(.zeroDigit + UInt8(truncatingIfNeeded: number)) }
        var rest = number
        if number >= 100_000_000 {
            append(decimal: number / 100_000_000)
            rest = number % 100_000_000
        }
        let digits = UInt64(decimalDigitsOf: UInt32(rest))
        // Leading zeros are left out, but not behind digits that came before.
        let skipped = rest == number ? digits.trailingZeroBitCount / 8 : 0
        var word = (digits | 0x3030_3030_3030_3030) >> UInt64(skipped * 8)
        for _ in skipped..<8 {
            append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }

    /// Appends the last two decimal digits of a number that is not negative.
    @inlinable
    package mutating func append(twoDigits value: Int) {
        append(.zeroDigit + UInt8(truncatingIfNeeded: value / 10 % 10))
        append(.zeroDigit + UInt8(truncatingIfNeeded: value % 10))
    }
}
