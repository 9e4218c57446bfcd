/// The Castagnoli checksum, which finds every burst error up to 32 bits.
struct CRC32C {
    private var state: UInt32 = ~0

    var value: UInt32 { ~state }

    mutating func add(_ bytes: Span<UInt8>) {
        let table = Self.table.span
        var state = state
        for index in bytes.indices {
            state = table[Int(UInt8(truncatingIfNeeded: state) ^ bytes[index])] ^ (state >> 8)
        }
        self.state = state
    }

    mutating func add(_ value: UInt64) { add(value.littleEndianBytes.span) }

    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
        return value
    }
}

extension FixedWidthInteger {
    /// The bytes of the value, the lowest first.
    var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) }
    }

    /// The value of the bytes at `offset`, the lowest first; the caller has checked that they are there.
    init(littleEndian bytes: [UInt8], at offset: Int) {
        self = 0
        for index in 0..<Self.bitWidth / 8 { self |= Self(truncatingIfNeeded: bytes[offset + index]) << (index * 8) }
    }
}
