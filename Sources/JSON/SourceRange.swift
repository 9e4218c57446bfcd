/// A range of byte offsets in the text a value was read from.
package struct SourceRange: Hashable, Sendable {
    package var lowerBound: Int
    package var upperBound: Int

    /// The bytes from `lowerBound` up to, not including, `upperBound`.
    package init(lowerBound: Int, upperBound: Int) {
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// The same bytes as `range`.
    package init(_ range: Range<Int>) {
        self.init(lowerBound: range.lowerBound, upperBound: range.upperBound)
    }

    /// The number of bytes.
    package var count: Int { upperBound - lowerBound }
}
