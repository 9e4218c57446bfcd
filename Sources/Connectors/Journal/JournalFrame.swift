internal import Bytes

/// The first bytes of a journal or snapshot file.
///
/// `salt` is random and goes into every checksum of the file, so that no client can smuggle in, as the value of some
/// field, bytes that would pass for a frame.
struct JournalHeader: Equatable {
    static let size = 24
    private static let magic = Array("connjrnl".utf8)
    private static let version: UInt32 = 1

    let salt: UInt64

    func encoded() -> [UInt8] {
        let front = Self.magic + Self.version.littleEndianBytes + salt.littleEndianBytes
        return front + Self.checksum(front).littleEndianBytes
    }

    /// `nil` if the file does not start with a header.
    init?(_ file: [UInt8]) {
        guard file.count >= Self.size, Array(file[..<8]) == Self.magic,
            UInt32(littleEndian: file, at: 20) == Self.checksum(Array(file[..<20])),
            UInt32(littleEndian: file, at: 8) == Self.version
        else { return nil }
        salt = UInt64(littleEndian: file, at: 12)
    }

    init(salt: UInt64) { self.salt = salt }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        CRC32C.checksum(of: bytes.span)
    }
}

/// What one write and one fsync made durable: magic, length and checksum before the records.
///
/// A frame is written only after the one before it is on the disk. So a crash can damage the last frame only, and
/// everything that is in a frame becomes durable together or not at all.
enum JournalFrame {
    static let headSize = 12
    /// How many bytes of records a frame may have.
    static let limit = 64 << 20
    private static let magic: UInt32 = 0x4D52_4643

    /// Appends the frame of `payload` as it stands at `offset` of a file with `salt`.
    static func append(_ payload: [UInt8], at offset: Int, salt: UInt64, to bytes: inout [UInt8]) {
        precondition(payload.count <= limit, "a frame of \(payload.count) bytes could not be read again")
        bytes += magic.littleEndianBytes
        bytes += UInt32(payload.count).littleEndianBytes
        bytes += checksum(payload.span, at: offset, salt: salt).littleEndianBytes
        bytes += payload
    }

    /// What stands at one place of a file.
    enum Found: Equatable {
        case frame(payload: Range<Int>)
        /// Not a whole frame, and nothing whole after it: what a crash leaves of the last write.
        case torn
        /// Not a whole frame, although something was written after it.
        case damaged
    }

    /// Looks at `offset`, which is before the end of `file`.
    static func find(in file: [UInt8], at offset: Int, salt: UInt64) -> Found {
        if let payload = frame(in: file, at: offset, salt: salt) { return .frame(payload: payload) }
        if let length = declaredLength(in: file, at: offset), offset + headSize + length < file.count {
            return .damaged
        }
        var next = offset + 1
        while next + headSize <= file.count {
            if frame(in: file, at: next, salt: salt) != nil { return .damaged }
            next += 1
        }
        return .torn
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
