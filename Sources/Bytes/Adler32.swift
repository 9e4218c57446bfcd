/// The checksum of the zlib format (RFC 1950, section 8). It detects damage, not tampering.
package enum Adler32 {
    /// The checksum of `bytes`.
    package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
        var low: UInt32 = 1
        var high: UInt32 = 0
        for index in bytes.indices {
            low = (low + UInt32(bytes[index])) % 65521
            high = (high + low) % 65521
        }
        return high << 16 | low
    }
}
