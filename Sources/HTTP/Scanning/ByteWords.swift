internal import Bytes

/// Eight bytes at a time, without a pointer: after one check, the compiler turns the eight indexed reads into one load.
///
/// The byte tests are the well-known carry tricks. A carry can only falsify marks *above* a true one, so the lowest
/// mark is always exact, and only that one is used.
extension Span<UInt8> {
    /// The eight bytes from `index` on, the first one lowest; `nil` when fewer are left.
    @inline(__always)
    func word(at index: Int) -> UInt64? {
        guard index >= 0, count - index >= 8 else { return nil }
        return UInt64(self[index]) | UInt64(self[index &+ 1]) << 8 | UInt64(self[index &+ 2]) << 16
            | UInt64(self[index &+ 3]) << 24 | UInt64(self[index &+ 4]) << 32 | UInt64(self[index &+ 5]) << 40
            | UInt64(self[index &+ 6]) << 48 | UInt64(self[index &+ 7]) << 56
    }

    /// `count` bytes (at most eight) from `index` on, ASCII letters in lower case.
    @inline(__always)
    func foldedWord(at index: Int, count: Int) -> UInt64 {
        if let word = word(at: index) { return (word | .spaces).firstBytes(count) }
        var word: UInt64 = 0
        for offset in (0..<count).reversed() { word = word << 8 | UInt64(self[index + offset] | 0x20) }
        return word
    }

    /// The end of the run of field value bytes that starts at `index`.
    @inline(__always)
    func endOfFieldValue(from index: Int) -> Int {
        var index = index
        while let word = word(at: index) {
            let stops = word.marksBelow(0x20) | word.marks(0x7F)
            guard stops != 0 else {
                index &+= 8
                continue
            }
            index &+= stops.firstMark
            // A tab is an allowed control.
            guard self[index] == .tab else { return index }
            index &+= 1
        }
        while index < count, self[index].isFieldValueByte { index += 1 }
        return index
    }

    /// The end of the run of target bytes that starts at `index`, at most `limit`.
    @inline(__always)
    func endOfTarget(from index: Int, limit: Int) -> Int {
        var index = index
        while index < limit, let word = word(at: index) {
            let stops = word.marksBelow(0x21) | word.marks(0x7F) | word.marks(0x23) | word & .highBits
            guard stops != 0 else {
                index &+= 8
                continue
            }
            return Swift.min(index &+ stops.firstMark, limit)
        }
        while index < Swift.min(count, limit), self[index].isTargetByte { index += 1 }
        return Swift.min(index, limit)
    }

    /// The index of the first `byte` in `range`.
    @inline(__always)
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index < range.upperBound, let word = word(at: index) {
            let found = word.marks(byte)
            guard found != 0 else {
                index &+= 8
                continue
            }
            let position = index &+ found.firstMark
            return position < range.upperBound ? position : nil
        }
        while index < range.upperBound {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }
}

extension UInt64 {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highBits: UInt64 = 0x8080_8080_8080_8080
    static let spaces: UInt64 = 0x2020_2020_2020_2020

    /// Marks (bit 7) the first byte below `limit`, and perhaps bytes above it. `limit` is at most 128.
    @inline(__always)
    func marksBelow(_ limit: UInt64) -> UInt64 { (self &- .ones &* limit) & ~self & .highBits }

    /// Marks (bit 7) the first byte that equals `byte`, and perhaps bytes above it.
    @inline(__always)
    func marks(_ byte: UInt8) -> UInt64 {
        let difference = self ^ (.ones &* UInt64(byte))
        return (difference &- .ones) & ~difference & .highBits
    }

    /// The index of the byte that has the lowest mark.
    @inline(__always)
    var firstMark: Int { trailingZeroBitCount &>> 3 }

    /// The lowest `count` bytes, of at most eight; the others become zero.
    @inline(__always)
    func firstBytes(_ count: Int) -> UInt64 { count >= 8 ? self : self & ((1 &<< UInt64(count &* 8)) &- 1) }
}
