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

extension OutputSpan<UInt8> {
    /// Appends a number in decimal digits, at most 20 with its sign.
    package mutating func append(decimal number: Int) {
        if number < 0 { append(.hyphen) }
        append(decimal: UInt64(number.magnitude))
    }

    /// Appends a number in decimal digits, at most 20.
    package mutating func append(decimal number: UInt64) {
        // Up to eight digits, the first one lowest.
        var digits: UInt64 = 0
        var count = 0
        var rest = number
        repeat {
            digits = digits << 8 | 0x30 + rest % 10
            rest /= 10
            count += 1
        } while rest > 0 && count < 8
        if rest > 0 { append(decimal: rest) }
        for _ in 0..<count {
            append(UInt8(truncatingIfNeeded: digits))
            digits >>= 8
        }
    }

    /// Appends the last two decimal digits of a number that is not negative.
    @inlinable
    package mutating func append(twoDigits value: Int) {
        append(.zeroDigit + UInt8(truncatingIfNeeded: value / 10 % 10))
        append(.zeroDigit + UInt8(truncatingIfNeeded: value % 10))
    }
}
