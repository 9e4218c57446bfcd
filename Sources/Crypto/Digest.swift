internal import COpenSSL

/// A SHA-256 value as four big-endian words, so that it fits in registers and hashes cheaply.
package struct SHA256Digest: Hashable, Sendable {
    package let words: InlineWords

    /// The 32 bytes, most significant first.
    package struct InlineWords: Hashable, Sendable {
        package let a, b, c, d: UInt64
    }

    /// The 32 bytes, most significant first. Allocates.
    package var bytes: [UInt8] {
        [words.a, words.b, words.c, words.d].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
    }
}

/// SHA-256 (FIPS 180-4). One hasher belongs to one loop; its OpenSSL context is reused for every digest.
@safe package final class SHA256 {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    package init() {
        // SAFETY: allocations that only fail without memory; freed in deinit. The algorithm is fetched once:
        // the implicit fetch of EVP_sha256() costs more than hashing a token does.
        guard let context = unsafe EVP_MD_CTX_new(), let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil) else {
            preconditionFailure("OpenSSL offers no SHA-256")
        }
        unsafe self.context = context
        unsafe self.algorithm = algorithm
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(algorithm)
    }

    /// Uses the one context of this hasher, so two threads must never call it at once.
    package func digest(of bytes: Span<UInt8>) -> SHA256Digest {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: OpenSSL reads `count` bytes of the span and writes exactly 32 to `words`.
        let succeeded = unsafe bytes.withUnsafeBufferPointer { input in
            unsafe withUnsafeMutableBytes(of: &words) { output in
                unsafe EVP_DigestInit_ex2(context, algorithm, nil) == 1
                    && EVP_DigestUpdate(context, input.baseAddress, input.count) == 1
                    && EVP_DigestFinal_ex(context, output.baseAddress?.assumingMemoryBound(to: UInt8.self), nil) == 1
            }
        }
        precondition(succeeded, "SHA-256 cannot fail on bytes in memory")
        return SHA256Digest(
            words: .init(
                a: UInt64(bigEndian: words.0), b: UInt64(bigEndian: words.1),
                c: UInt64(bigEndian: words.2), d: UInt64(bigEndian: words.3)))
    }

    /// The digest as 32 bytes, for places where speed does not matter.
    package static func hash(_ bytes: Span<UInt8>) -> [UInt8] { SHA256().digest(of: bytes).bytes }
}

/// Random bytes fit for keys and tokens.
package enum SecureRandom {
    /// May be called on any thread. Crashes if the system has no randomness.
    package static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: OpenSSL fills exactly `count` bytes.
        let succeeded = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe RAND_bytes($0.baseAddress, Int32($0.count)) == 1
        }
        precondition(succeeded, "the system has no randomness")
        return bytes
    }
}
