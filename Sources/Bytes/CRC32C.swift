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
    // Inlinable, because it is compiled for each type of number only where it is called.
    @inlinable
    package mutating func add(_ number: some FixedWidthInteger) { add(number.littleEndianBytes.span) }

    /// The checksum of `bytes`.
    package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
        var sum = CRC32C()
        sum.add(bytes)
        return sum.value
    }
}
