internal import Bytes

/// One record of the journal as it stands in the file: length, checksum, payload.
enum JournalFrame {
    private static let headBytes = 8
    /// The longest payload: a lease with its job, all names at their longest.
    static let maxBytes = 16_384

    /// The bytes of a record. The checksum covers the length, too.
    static func encode(_ payload: [UInt8]) -> [UInt8] {
        precondition(
            (1...maxBytes).contains(payload.count), "a record of \(payload.count) bytes could not be read again")
        let length = UInt32(payload.count).littleEndianBytes
        var frame = length
        frame.reserveCapacity(headBytes + payload.count)
        frame += checksum(length, payload.span).littleEndianBytes
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
        let length = Int(UInt32(littleEndian: file, at: offset))
        guard (1...maxBytes).contains(length), offset + headBytes + length <= file.count else { return nil }
        let payload = offset + headBytes..<offset + headBytes + length
        let expected = UInt32(littleEndian: file, at: offset + 4)
        return checksum(Array(file[offset..<offset + 4]), file.span.extracting(payload)) == expected ? payload : nil
    }

    private static func checksum(_ length: [UInt8], _ payload: Span<UInt8>) -> UInt32 {
        var sum = CRC32C()
        sum.add(length.span)
        sum.add(payload)
        return sum.value
    }
}
