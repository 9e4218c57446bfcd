/// Up to 16 bytes packed little-endian into two words, ASCII letters in lower case: a short name as a number.
///
/// Only for texts without control characters: then nothing folds to a letter, a digit or `-` except that byte itself
/// and the upper case of a letter.
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
