internal import Bytes
package import Crypto

/// The identity of a record: a digest of organization, subject, route and key.
///
/// A digest, so that a long key costs no memory and that no file or log has the key, which can be a secret of the client.
package struct IdempotencyRecordID: Hashable, Sendable {
    private let a, b, c, d: UInt64

    package init(_ digest: SHA256Digest) {
        (a, b, c, d) = (digest.words.a, digest.words.b, digest.words.c, digest.words.d)
    }

    /// A number that is evenly distributed over all records.
    var spread: Int { Int(truncatingIfNeeded: a) }

    /// 64 hexadecimal digits.
    var text: String {
        var digits: [UInt8] = []
        for word in [a, b, c, d] { digits.append(hex: word) }
        return String(decoding: digits, as: UTF8.self)
    }

    /// `nil` for other text.
    init?(_ text: String) {
        let digits = text.utf8.span
        guard digits.count == 64, let a = UInt64(hex: digits.extracting(0..<16)),
            let b = UInt64(hex: digits.extracting(16..<32)), let c = UInt64(hex: digits.extracting(32..<48)),
            let d = UInt64(hex: digits.extracting(48..<64))
        else { return nil }
        (self.a, self.b, self.c, self.d) = (a, b, c, d)
    }
}
