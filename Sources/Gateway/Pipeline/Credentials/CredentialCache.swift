internal import Bytes
internal import Crypto
internal import Policy

/// The credential that a connection sent last, already hashed.
///
/// Clients repeat the same token on every request of a connection; comparing it costs a tenth of hashing it.
struct CredentialCache {
    private var text: [UInt8] = []
    private var digest: TokenDigest?

    /// The digest of `bytes` if they are a token at all. Nothing is remembered: for the second credential of a request.
    static func digest(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        guard isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        return .digest(TokenDigest(words.a, words.b, words.c, words.d))
    }

    /// The digest of `bytes` if they are a token at all, in time that does not depend on how much of a remembered token
    /// they match.
    mutating func credential(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        if let digest, matches(bytes) { return .digest(digest) }
        guard CredentialCache.isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        let digest = TokenDigest(words.a, words.b, words.c, words.d)
        text.removeAll(keepingCapacity: true)
        text.append(bytes: bytes)
        self.digest = digest
        return .digest(digest)
    }

    /// Visible ASCII, not too long, and not mistyped: `token68` of RFC 9110, section 11.2, and whatever else clients use as a
    /// key.
    private static func isToken(_ bytes: Span<UInt8>) -> Bool {
        guard !bytes.isEmpty, bytes.count <= 4096 else { return false }
        for index in bytes.indices where bytes[index] <= 0x20 || bytes[index] >= 0x7F { return false }
        return !APIToken.isMistyped(bytes)
    }

    private func matches(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == text.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<bytes.count { difference |= bytes[index] ^ text[index] }
        return difference == 0
    }
}
