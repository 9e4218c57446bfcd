internal import Bytes

/// The first bytes of a journal file or a snapshot file.
///
/// `salt` is random and goes into every checksum of the file, so that no client can smuggle in, as the value of some
/// field, bytes that would pass for a frame.
package struct JournalHeader: Equatable {
    /// The length of a header in bytes.
    package static let size = 24
    private static let magic = Array("connjrnl".utf8)
    private static let version: UInt32 = 1

    package let salt: UInt64

    package init(salt: UInt64) { self.salt = salt }

    /// `nil` if the file does not start with a whole header of this version.
    package init?(_ file: [UInt8]) {
        guard file.count >= Self.size, Array(file[..<8]) == Self.magic,
            UInt32(littleEndian: file, at: 20) == Self.checksum(Array(file[..<20])),
            UInt32(littleEndian: file, at: 8) == Self.version
        else { return nil }
        salt = UInt64(littleEndian: file, at: 12)
    }

    package func encoded() -> [UInt8] {
        let front = Self.magic + Self.version.littleEndianBytes + salt.littleEndianBytes
        return front + Self.checksum(front).littleEndianBytes
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        CRC32C.checksum(of: bytes.span)
    }
}
