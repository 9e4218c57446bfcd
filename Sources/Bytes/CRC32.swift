/// The checksum of Ethernet, gzip (RFC 1952, section 8) and PNG. It detects damage, not tampering.
package struct CRC32: Equatable, Sendable {
    private static let table = CRCTable(polynomial: 0xEDB8_8320)
    private var remainder: UInt32 = ~0

    /// The checksum of no bytes.
    package init() {}

    /// The checksum of all bytes so far.
    package var value: UInt32 { ~remainder }

    /// Adds bytes at the end.
    package mutating func add(_ bytes: Span<UInt8>) {
        remainder = Self.table.remainder(remainder, adding: bytes)
    }

    /// The checksum of `bytes`.
    package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
        var sum = CRC32()
        sum.add(bytes)
        return sum.value
    }
}
