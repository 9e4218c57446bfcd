/// The credential of a request, hashed. ``PolicySet/authenticate(_:now:)`` finds its principal.
package enum Credential: Equatable, Sendable {
    /// Neither `Authorization` nor a non-empty `x-api-key`.
    case missing
    /// An `Authorization` of another scheme, or a text that is no token: empty, too long, a bad checksum.
    case malformed
    /// Two valid credentials of different principals.
    case ambiguous
    /// The SHA-256 of the token text.
    case digest(TokenDigest)
}

/// Why a credential is not accepted.
package enum CredentialFailure: Equatable, Sendable {
    case missing
    case malformed
    case unknown
    case expired
    /// There are two valid credentials, of different principals.
    case ambiguous
}

/// The SHA-256 of a token.
package struct TokenDigest: Hashable, Sendable {
    private let word0: UInt64
    private let word1: UInt64
    private let word2: UInt64
    private let word3: UInt64

    /// A digest as eight-byte words, most significant first.
    package init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
        (self.word0, self.word1, self.word2, self.word3) = (word0, word1, word2, word3)
    }

    /// A digest as bytes; `nil` unless there are 32.
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 32 else { return nil }
        func word(_ start: Int) -> UInt64 {
            var word: UInt64 = 0
            for index in start..<start + 8 { word = word << 8 | UInt64(bytes[index]) }
            return word
        }
        (word0, word1, word2, word3) = (word(0), word(8), word(16), word(24))
    }

    /// Compares in constant time: the time does not reveal where two digests differ.
    package static func == (one: TokenDigest, other: TokenDigest) -> Bool {
        (one.word0 ^ other.word0) | (one.word1 ^ other.word1) | (one.word2 ^ other.word2) | (one.word3 ^ other.word3)
            == 0
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(word0) }

    /// The first slot to try in a table: the output of SHA-256 needs no further hashing.
    var slot: UInt64 { word0 }
}
