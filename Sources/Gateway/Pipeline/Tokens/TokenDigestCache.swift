internal import Bytes
internal import Crypto
internal import Policy

/// The last token of a connection, with its digest. `PolicySet.authenticate` decides whether a token is valid.
///
/// Clients send the same token with every request of a connection, and comparing it costs a tenth of hashing it.
struct TokenDigestCache {
    private var text: [UInt8] = []
    private var digest: TokenDigest?

    /// The digest of `bytes`, or `.malformed`. Does not use the cache: for the second credential of a request.
    static func digest(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        guard isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        return .digest(TokenDigest(words.a, words.b, words.c, words.d))
    }

    /// The digest of `bytes`, or `.malformed`. The time of the comparison does not depend on the number of bytes that
    /// match the cached token.
    mutating func credential(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        if let digest, matches(bytes) { return .digest(digest) }
        guard TokenDigestCache.isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        let digest = TokenDigest(words.a, words.b, words.c, words.d)
        text.removeAll(keepingCapacity: true)
        text.append(bytes: bytes)
        self.digest = digest
        return .digest(digest)
    }

    /// Whether the bytes are visible ASCII, not too long, and not a mistyped token. Clients also use keys that are not
    /// `token68` (RFC 9110, section 11.2).
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
