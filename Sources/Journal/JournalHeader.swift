internal import Bytes

/// The first bytes of a journal file or a snapshot file.
///
/// `salt` is random and part of every checksum of the file. So no client can send bytes, as the value of a field, that
/// would pass for a frame.
package struct JournalHeader: Equatable {
    /// The length of a header in bytes.
    package static let size = 24
    private static let magic = Array("connjrnl".utf8)
    private static let version: UInt32 = 1

    package let salt: UInt64

    package init(salt: UInt64) { self.salt = salt }

    /// `nil` if the file does not start with a complete header of this version.
    package init?(_ file: [UInt8]) {
        guard file.count >= Self.size, Array(file[..<8]) == Self.magic,
            UInt32(littleEndian: file, at: 20) == Self.checksum(Array(file[..<20])),
            UInt32(littleEndian: file, at: 8) == Self.version
        else { return nil }
        salt = UInt64(littleEndian: file, at: 12)
    }

    /// Whether `file` is what a crash can leave of the write of a header: its first bytes, perhaps with zeros after them.
    /// Any other file without a header is damaged, or of another version.
    package static func isTorn(_ file: [UInt8]) -> Bool {
        guard file.count <= size else { return false }
        let end = file.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        guard file.count == size else {
            let known = Self.magic + Self.version.littleEndianBytes
            return known.starts(with: file[..<min(end, known.count)])
        }
        return JournalHeader(salt: UInt64(littleEndian: file, at: 12)).encoded().starts(with: file[..<end])
    }

    /// The ``size`` bytes that a file begins with.
    package func encoded() -> [UInt8] {
        let front = Self.magic + Self.version.littleEndianBytes + salt.littleEndianBytes
        return front + Self.checksum(front).littleEndianBytes
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        CRC32C.checksum(of: bytes.span)
    }
}
