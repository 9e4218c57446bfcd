/// The US-ASCII characters that formats use.
///
/// Computed and inlinable, so that a test of a byte is as cheap in another target as here.
extension UInt8 {
    @inlinable package static var tab: UInt8 { 0x09 }
    @inlinable package static var lineFeed: UInt8 { 0x0A }
    @inlinable package static var carriageReturn: UInt8 { 0x0D }
    @inlinable package static var space: UInt8 { 0x20 }
    @inlinable package static var quote: UInt8 { 0x22 }
    @inlinable package static var apostrophe: UInt8 { 0x27 }
    @inlinable package static var asterisk: UInt8 { 0x2A }
    @inlinable package static var comma: UInt8 { 0x2C }
    @inlinable package static var hyphen: UInt8 { 0x2D }
    @inlinable package static var dot: UInt8 { 0x2E }
    @inlinable package static var slash: UInt8 { 0x2F }
    @inlinable package static var zeroDigit: UInt8 { 0x30 }
    @inlinable package static var colon: UInt8 { 0x3A }
    @inlinable package static var semicolon: UInt8 { 0x3B }
    @inlinable package static var questionMark: UInt8 { 0x3F }
    @inlinable package static var openBracket: UInt8 { 0x5B }
    @inlinable package static var backslash: UInt8 { 0x5C }
    @inlinable package static var closeBracket: UInt8 { 0x5D }
    @inlinable package static var underscore: UInt8 { 0x5F }
    @inlinable package static var openBrace: UInt8 { 0x7B }
    @inlinable package static var closeBrace: UInt8 { 0x7D }
}

/// The classes of characters that several formats share.
extension UInt8 {
    @inlinable package var isDigit: Bool { self &- 0x30 < 10 }

    @inlinable package var isUppercaseLetter: Bool { self &- 0x41 < 26 }

    /// Upper case and lower case.
    @inlinable package var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }

    @inlinable package var isLetterOrDigit: Bool { isLetter || isDigit }

    /// `unreserved` of RFC 3986, section 2.3: letters, digits, `-`, `.`, `_` and `~`. Two words of bits, so that a test is a shift.
    @inlinable
    package var isUnreserved: Bool {
        if self < 64 { return 0x03FF_6000_0000_0000 as UInt64 &>> UInt64(self) & 1 == 1 }
        if self < 128 { return 0x47FF_FFFE_87FF_FFFE as UInt64 &>> UInt64(self & 63) & 1 == 1 }
        return false
    }

    /// `tchar` of RFC 9110, section 5.6.2: the characters of methods and field names.
    @inlinable
    package var isTokenByte: Bool {
        if self < 64 { return 0x03FF_6CFA_0000_0000 as UInt64 &>> UInt64(self) & 1 == 1 }
        if self < 128 { return 0x57FF_FFFF_C7FF_FFFE as UInt64 &>> UInt64(self & 63) & 1 == 1 }
        return false
    }

    /// A letter in lower case; any other byte unchanged.
    @inlinable package var lowercased: UInt8 { isUppercaseLetter ? self | 0x20 : self }
}

extension Span<UInt8> {
    /// Whether `range` spells `text`, which must be lower case, in any case. For short texts off the hot path.
    package func spells(_ text: String, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            guard self[index].lowercased == byte else { return false }
            index += 1
        }
        return true
    }
}
