/// The Castagnoli checksum of iSCSI (RFC 3720, section 12.1) and of journals. It detects every burst of errors up to 32
/// bits, but not tampering.
package struct CRC32C: Equatable, Sendable {
    private static let table = CRCTable(polynomial: 0x82F6_3B78)
    private var remainder: UInt32 = ~0

    /// The checksum of no bytes.
    package init() {}

    /// The checksum of all bytes so far.
    package var value: UInt32 { ~remainder }

    /// Adds bytes at the end.
    package mutating func add(_ bytes: Span<UInt8>) {
        remainder = Self.table.remainder(remainder, adding: bytes)
    }

    /// Adds the bytes of a number, the lowest first.
    @inlinable
    package mutating func add(_ number: some FixedWidthInteger) {
        add(UInt64(truncatingIfNeeded: number), bytes: number.bitWidth / 8)
    }

    // Neither generic nor inlinable, so that its loop is compiled once. As generic code it cost 3,000 instructions per number.
    @usableFromInline
    mutating func add(_ word: UInt64, bytes: Int) {
        for index in 0..<bytes {
            remainder = Self.table.remainder(remainder, adding: UInt8(truncatingIfNeeded: word >> UInt64(index * 8)))
        }
    }

    /// The checksum of `bytes`.
    package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
        var sum = CRC32C()
        sum.add(bytes)
        return sum.value
    }
}
