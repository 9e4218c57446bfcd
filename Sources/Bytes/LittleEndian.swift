/// Numbers in files: of a fixed width, the lowest byte first.
extension FixedWidthInteger {
    /// The bytes of the number, the lowest first.
    @inlinable
    package var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
    }

    /// Reads the number at `offset`, the lowest byte first. The bytes must exist.
    @inlinable
    package init(littleEndian bytes: [UInt8], at offset: Int) {
        self = 0
        for index in 0..<Self.bitWidth / 8 { self |= Self(truncatingIfNeeded: bytes[offset + index]) << (index * 8) }
    }
}
