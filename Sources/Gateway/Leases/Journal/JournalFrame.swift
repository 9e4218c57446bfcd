/// One record of the journal as it stands in the file: length, checksum, payload.
enum JournalFrame {
    private static let headBytes = 8
    /// The longest payload: a lease with its job, all names at their longest.
    static let maxBytes = 16_384

    /// The bytes of a record. The checksum covers the length, too.
    static func encode(_ payload: [UInt8]) -> [UInt8] {
        precondition(
            (1...maxBytes).contains(payload.count), "a record of \(payload.count) bytes could not be read again")
        let length = bytes(of: UInt32(payload.count))
        var frame = length
        frame.reserveCapacity(headBytes + payload.count)
        frame += bytes(of: CRC32C.checksum(length, payload.span))
        frame += payload
        return frame
    }

    /// What a file holds.
    struct Contents: Equatable {
        var payloads: [Range<Int>] = []
        /// Bytes between records that are none: damage, not a write that a crash cut off.
        var damagedBytes = 0
        /// Bytes after the last record: what a crash left of the last write.
        var tornBytes = 0
    }

    /// Finds all whole records. Never fails: what is no record is passed over byte by byte, for to forget a lease that is
    /// still there is worse than to keep one that is gone.
    ///
    /// No client can bring bytes into the file that pass for a record: the head of a record has zeros, a payload never has.
    static func find(in file: [UInt8]) -> Contents {
        var contents = Contents()
        var (at, end) = (0, 0)
        while at + headBytes < file.count {
            guard let payload = payload(in: file, at: at) else {
                at += 1
                continue
            }
            contents.damagedBytes += at - end
            contents.payloads.append(payload)
            at = payload.upperBound
            end = at
        }
        contents.tornBytes = file.count - end
        return contents
    }

    private static func payload(in file: [UInt8], at offset: Int) -> Range<Int>? {
        let length = Int(word(file, at: offset))
        guard (1...maxBytes).contains(length), offset + headBytes + length <= file.count else { return nil }
        let payload = offset + headBytes..<offset + headBytes + length
        let checksum = CRC32C.checksum(Array(file[offset..<offset + 4]), file.span.extracting(payload))
        return word(file, at: offset + 4) == checksum ? payload : nil
    }

    private static func bytes(of word: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
    }

    private static func word(_ file: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(file[offset + $1]) << (UInt32($1) * 8) }
    }
}

/// The Castagnoli checksum, which finds every burst of errors up to 32 bits.
private enum CRC32C {
    static func checksum(_ head: [UInt8], _ body: Span<UInt8>) -> UInt32 {
        var state: UInt32 = ~0
        for byte in head { state = table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8) }
        for index in body.indices { state = table[Int(UInt8(truncatingIfNeeded: state) ^ body[index])] ^ (state >> 8) }
        return ~state
    }

    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
        return value
    }
}
