/// ASCII bytes and the character classes of RFC 9110, section 5.6.2, and RFC 9112, section 3.
extension UInt8 {
    package static let tab: UInt8 = 0x09
    package static let lineFeed: UInt8 = 0x0A
    package static let carriageReturn: UInt8 = 0x0D
    package static let space: UInt8 = 0x20
    package static let comma: UInt8 = 0x2C
    package static let slash: UInt8 = 0x2F
    package static let colon: UInt8 = 0x3A
    package static let semicolon: UInt8 = 0x3B
    package static let questionMark: UInt8 = 0x3F

    package var isDigit: Bool { self &- 0x30 < 10 }

    package var hexDigitValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }

    /// A character of a method or field name: `tchar`. Two words of bits, so that a test is a shift.
    package var isTokenByte: Bool {
        if self < 64 { return 0x03FF_6CFA_0000_0000 as UInt64 &>> UInt64(self) & 1 == 1 }
        if self < 128 { return 0x57FF_FFFF_C7FF_FFFE as UInt64 &>> UInt64(self & 63) & 1 == 1 }
        return false
    }

    /// A character of a request target: visible ASCII, but no `#`, which starts what a client must not send.
    package var isTargetByte: Bool { self > 0x20 && self < 0x7F && self != 0x23 }

    /// A character of a field value: anything but controls; HTAB, and bytes above ASCII, are allowed.
    package var isFieldValueByte: Bool { self >= 0x20 && self != 0x7F || self == .tab }

    var isOptionalWhiteSpace: Bool { self == .space || self == .tab }
}

/// Up to 16 bytes packed little-endian into two words, ASCII letters in lower case: a short name as a number.
///
/// Only for texts without control characters: among those no byte folds to a lower-case letter, a digit or `-` but
/// itself and, for a letter, its upper case.
struct PackedName: Equatable {
    let low: UInt64
    let high: UInt64

    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        precondition(range.count <= 16, "a packed name has at most sixteen bytes")
        low = bytes.foldedWord(at: range.lowerBound, count: min(range.count, 8))
        high = range.count > 8 ? bytes.foldedWord(at: range.lowerBound + 8, count: range.count - 8) : 0
    }
}

extension Span<UInt8> {
    /// Whether `range` spells `text`, which must be lower case, in any case. For short texts off the hot path.
    package func spells(_ text: String, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            let own = self[index]
            guard own == byte || (own &- 0x41 < 26 && own | 0x20 == byte) else { return false }
            index += 1
        }
        return true
    }

    /// `range` without the optional white space at its ends (RFC 9110, section 5.6.3).
    package func trimmed(_ range: Range<Int>) -> Range<Int> {
        var lower = range.lowerBound
        var upper = range.upperBound
        while lower < upper, self[lower].isOptionalWhiteSpace { lower += 1 }
        while upper > lower, self[upper - 1].isOptionalWhiteSpace { upper -= 1 }
        return lower..<upper
    }

    /// The bytes as text; anything that is not UTF-8 is replaced.
    package func text(_ range: Range<Int>) -> String {
        String(decoding: array(range), as: UTF8.self)
    }

    /// A copy of `range`.
    package func array(_ range: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(self, range)
        return bytes
    }
}

extension [UInt8] {
    /// Appends the bytes of `span` in `range`.
    package mutating func append(_ span: Span<UInt8>, _ range: Range<Int>) {
        let part = span.extracting(range)
        // One check of the capacity for all bytes, so that the loop becomes a copy of memory.
        append(addingCapacity: part.count) { output in
            for index in 0..<part.count { output.append(part[index]) }
        }
    }

    /// Appends a number in decimal digits.
    package mutating func append(decimal number: Int) {
        if number < 0 { append(UInt8(ascii: "-")) }
        append(decimal: UInt64(number.magnitude))
    }

    /// Appends a number in decimal digits.
    package mutating func append(decimal number: UInt64) {
        if number < 10 { return append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number)) }
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
        append(addingCapacity: count) { output in
            for _ in 0..<count {
                output.append(UInt8(truncatingIfNeeded: digits))
                digits >>= 8
            }
        }
    }
}
