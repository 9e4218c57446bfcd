/// The checksums of compressed content: they find damage, not malice.
enum Checksum {
    /// CRC-32 as gzip has it (RFC 1952, section 8).
    static func crc32(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt32 {
        var sum: UInt32 = 0xFFFF_FFFF
        for index in range { sum = table[Int((sum ^ UInt32(bytes[index])) & 0xFF)] ^ sum >> 8 }
        return ~sum
    }

    /// Adler-32 as zlib has it (RFC 1950, section 8).
    static func adler32(_ bytes: Span<UInt8>) -> UInt32 {
        var low: UInt32 = 1
        var high: UInt32 = 0
        for index in bytes.indices {
            low = (low + UInt32(bytes[index])) % 65521
            high = (high + low) % 65521
        }
        return high << 16 | low
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 1 ? 0xEDB8_8320 ^ sum >> 1 : sum >> 1 }
    }
}
