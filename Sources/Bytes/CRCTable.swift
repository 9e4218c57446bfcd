/// A cyclic redundancy check of 32 bits, bit-reversed like all in use: the effect of each byte on the remainder.
struct CRCTable: Sendable {
    private let entries: [UInt32]

    /// `polynomial` has its lowest power in the highest bit.
    init(polynomial: UInt32) {
        entries = (0..<256).map { index in
            (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
        }
    }

    /// The remainder after more bytes.
    func remainder(_ start: UInt32, adding bytes: Span<UInt8>) -> UInt32 {
        var remainder = start
        for index in bytes.indices { remainder = self.remainder(remainder, adding: bytes[index]) }
        return remainder
    }

    /// The remainder after one more byte.
    func remainder(_ start: UInt32, adding byte: UInt8) -> UInt32 {
        entries[Int(UInt8(truncatingIfNeeded: start) ^ byte)] ^ start >> 8
    }
}
