internal import COpenSSL

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1): proves that a text comes from a holder of the key.
package struct MessageCode: Sendable {
    private let key: [UInt8]

    /// A key of this process: 256 random bits.
    package init() { key = SecureRandom.bytes(32) }

    package init(key: [UInt8]) { self.key = key }

    /// The first 128 bits of the code.
    package func code(of text: Span<UInt8>) -> (UInt64, UInt64) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: OpenSSL reads the key and the text, and writes exactly 32 bytes to `words`.
        let succeeded = unsafe text.withUnsafeBufferPointer { input in
            unsafe key.withUnsafeBufferPointer { key in
                unsafe withUnsafeMutableBytes(of: &words) { output in
                    unsafe HMAC(
                        EVP_sha256(), key.baseAddress, Int32(key.count), input.baseAddress, input.count,
                        output.baseAddress?.assumingMemoryBound(to: UInt8.self), nil) != nil
                }
            }
        }
        precondition(succeeded, "HMAC cannot fail on bytes in memory")
        return (UInt64(bigEndian: words.0), UInt64(bigEndian: words.1))
    }
}
