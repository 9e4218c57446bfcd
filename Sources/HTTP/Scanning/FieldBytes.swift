internal import Bytes

/// The byte classes of a head, besides those of `Bytes`.
extension UInt8 {
    /// A character of a request target: visible ASCII, but no `#`: a client must not send a fragment.
    package var isTargetByte: Bool { self > 0x20 && self < 0x7F && self != 0x23 }

    /// A character of a field value: anything but controls; HTAB, and bytes above ASCII, are allowed.
    package var isFieldValueByte: Bool { self >= 0x20 && self != 0x7F || self == .tab }

    var isOptionalWhiteSpace: Bool { self == .space || self == .tab }
}

extension Span<UInt8> {
    /// `range` without the optional white space at its ends (RFC 9110, section 5.6.3).
    package func trimmed(_ range: Range<Int>) -> Range<Int> {
        var lower = range.lowerBound
        var upper = range.upperBound
        while lower < upper, self[lower].isOptionalWhiteSpace { lower += 1 }
        while upper > lower, self[upper - 1].isOptionalWhiteSpace { upper -= 1 }
        return lower..<upper
    }
}
