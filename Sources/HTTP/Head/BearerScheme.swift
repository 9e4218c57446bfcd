extension Span<UInt8> {
    /// Whether the value of a field `Authorization` has the scheme `Bearer` (RFC 6750, section 2.1) in any case (RFC 9110,
    /// section 11.1), a space, and something after it. `value` is its range in these bytes.
    package func hasBearerScheme(_ value: Range<Int>) -> Bool {
        value.count > 7 && foldedWord(at: value.lowerBound, count: 7) == 0x20_7265_7261_6562
    }
}
