internal import Bytes

/// A part of a journal file that is there as a whole or not at all: magic, length and checksum before the payload. What a
/// payload means, its owner knows.
///
/// Why a crash at any byte loses nothing that was acknowledged, and brings back nothing that was refused:
/// 1. A record is acknowledged after the `fdatasync` that covers its frame, and all bytes before it.
/// 2. A file grows only at its end, behind bytes that are durable. So a crash can damage only what the last write wrote.
/// 3. The checksum covers the file's salt, the frame's offset, its length and its payload. So neither old bytes of the disk, nor
///    a frame of another file or place, nor bytes that a client chose pass for a frame.
/// 4. After a write or an `fdatasync` that failed, nobody knows what stands behind the durable bytes. Before another frame is
///    written, the rest is cut off durably, or a new file takes the place of the old one.
/// 5. A new file is whole and durable before it gets its name, and its name is durable before the file grows. So after a
///    crash one of the two is there, and either holds all that was acknowledged.
package enum JournalFrame {
    /// What precedes the payload, in bytes.
    package static let headSize = 12
    /// How many bytes of payload a frame may have.
    package static let limit = 64 << 20
    /// Where the length ends in the head, and the checksum begins.
    private static let lengthEnd = 8
    private static let magic: UInt32 = 0x4D52_4643

    /// Appends the frame of `payload` as it stands at `offset` of a file with `salt`.
    package static func append(_ payload: [UInt8], at offset: Int, salt: UInt64, to bytes: inout [UInt8]) {
        precondition(payload.count <= limit, "a frame of \(payload.count) bytes could not be read again")
        bytes += magic.littleEndianBytes
        bytes += UInt32(payload.count).littleEndianBytes
        bytes += checksum(payload.span, at: offset, salt: salt).littleEndianBytes
        bytes += payload
    }

    /// The frames of a file up to the first place where none is.
    package struct Beginning: Equatable {
        /// What stands behind the frames.
        package enum Rest: Equatable {
            /// Nothing.
            case none
            /// Not a whole frame, and nothing whole after it: what a crash leaves of the last write.
            case torn
            /// Not a whole frame, although something was written after it.
            case damaged
        }

        /// The place of each payload in the file, in order. The heads of the frames are not part of it.
        package var payloads: [Range<Int>] = []
        /// Where the last frame ends.
        package var end = JournalHeader.size
        package var rest = Rest.none
    }

    /// Finds the frames behind the header until something else stands there. For an owner that writes one frame at a time and
    /// does not start on a file that is damaged.
    package static func beginning(of file: [UInt8], salt: UInt64) -> Beginning {
        var beginning = Beginning()
        while beginning.end < file.count {
            guard let payload = frame(in: file, at: beginning.end, salt: salt) else {
                beginning.rest = rest(of: file, from: beginning.end, salt: salt)
                break
            }
            beginning.payloads.append(payload)
            beginning.end = payload.upperBound
        }
        return beginning
    }

    /// What stands at `offset`, which is before the end of `file` and where no whole frame is.
    private static func rest(of file: [UInt8], from offset: Int, salt: UInt64) -> Beginning.Rest {
        // A crash can leave the new length of the file without all of its bytes. Where the frame's own length is cut, its checksum and
        // all that follows are zeros; else the length holds, and nothing is written behind the last frame.
        if let length = declaredLength(in: file, at: offset), offset + headSize + length < file.count,
            file[(offset + lengthEnd)...].contains(where: { $0 != 0 })
        {
            return .damaged
        }
        return next(in: file, from: offset + 1, salt: salt) == nil ? .torn : .damaged
    }

    /// All whole frames of a file.
    package struct Contents: Equatable {
        /// The place of each payload in the file, in order. The heads of the frames are not part of it.
        package var payloads: [Range<Int>] = []
        /// Bytes between frames that are none: damage, or part of a write of several frames that a crash cut off.
        package var damagedBytes = 0
        /// Bytes after the last frame: what a crash left of the last write.
        package var tornBytes = 0
    }

    /// Finds all whole frames behind the header. Never fails, for what is no frame is passed over byte by byte: for an owner
    /// to whom each frame that is left is worth more than the certainty that none is missing.
    package static func all(in file: [UInt8], salt: UInt64) -> Contents {
        var contents = Contents()
        var end = JournalHeader.size
        while let payload = next(in: file, from: end, salt: salt) {
            contents.damagedBytes += payload.lowerBound - headSize - end
            contents.payloads.append(payload)
            end = payload.upperBound
        }
        contents.tornBytes = file.count - end
        return contents
    }

    /// The payload of the first whole frame at `offset` or behind it.
    private static func next(in file: [UInt8], from offset: Int, salt: UInt64) -> Range<Int>? {
        var at = offset
        while at + headSize <= file.count {
            if let payload = frame(in: file, at: at, salt: salt) { return payload }
            at += 1
        }
        return nil
    }

    private static func frame(in file: [UInt8], at offset: Int, salt: UInt64) -> Range<Int>? {
        guard let length = declaredLength(in: file, at: offset) else { return nil }
        let payload = offset + headSize..<offset + headSize + length
        guard payload.upperBound <= file.count else { return nil }
        let expected = UInt32(littleEndian: file, at: offset + 8)
        guard checksum(file.span.extracting(payload), at: offset, salt: salt) == expected else { return nil }
        return payload
    }

    private static func declaredLength(in file: [UInt8], at offset: Int) -> Int? {
        // The low byte first: the search for a later frame looks at every byte of a torn one.
        guard offset + headSize <= file.count, file[offset] == UInt8(truncatingIfNeeded: magic),
            UInt32(littleEndian: file, at: offset) == magic
        else { return nil }
        let length = Int(UInt32(littleEndian: file, at: offset + 4))
        return length <= limit ? length : nil
    }

    private static func checksum(_ payload: Span<UInt8>, at offset: Int, salt: UInt64) -> UInt32 {
        var checksum = CRC32C()
        checksum.add(salt)
        checksum.add(UInt64(offset))
        checksum.add(UInt64(payload.count))
        checksum.add(payload)
        return checksum.value
    }
}
