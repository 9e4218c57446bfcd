/// The name of one bucket: a keyed 128-bit hash of the rule and the subject that the bucket counts.
///
/// Two inputs share a bucket only by a collision of 128 bits under a key that is secret to the process. So a client
/// cannot choose a connection id that drains the bucket of another caller.
package struct BucketKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64
}

/// Makes ``BucketKey``s: SipHash-1-3 with 128 bits of output, under a key that is drawn once per process.
///
/// A value type: copies continue from a common start, such as a rule's name. Every part is delimited, so ("ab", "c") and
/// ("a", "bc") differ.
package struct BucketKeyHasher: Sendable {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    /// Starts a hash. All hashers of a process must use the same key.
    package init(key: (UInt64, UInt64)) {
        v0 = key.0 ^ 0x736f_6d65_7073_6575
        v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key.0 ^ 0x6c79_6765_6e65_7261
        v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    /// Adds a number, such as a word of a token's digest.
    package mutating func combine(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    /// Adds bytes, such as a connection id from the request.
    package mutating func combine(_ bytes: Span<UInt8>) {
        // The length at the start delimits the part.
        combine(UInt64(bytes.count))
        var index = 0
        while index < bytes.count {
            var word: UInt64 = 0
            let end = min(index + 8, bytes.count)
            var shift: UInt64 = 0
            while index < end {
                word |= UInt64(bytes[index]) &<< shift
                shift &+= 8
                index &+= 1
            }
            combine(word)
        }
    }

    /// Adds text, such as an organization's id.
    package mutating func combine(_ text: String) {
        combine(text.utf8.span)
    }

    /// The key of all combined parts.
    package consuming func finish() -> BucketKey {
        v2 ^= 0xee
        round()
        round()
        round()
        let high = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        round()
        round()
        round()
        return BucketKey(high: high, low: v0 ^ v1 ^ v2 ^ v3)
    }

    // Inlined: a key takes about 24 rounds, and as calls they would cost more than their work.
    @inline(__always)
    private mutating func round() {
        v0 &+= v1
        v1 = rotated(v1, by: 13) ^ v0
        v0 = rotated(v0, by: 32)
        v2 &+= v3
        v3 = rotated(v3, by: 16) ^ v2
        v0 &+= v3
        v3 = rotated(v3, by: 21) ^ v0
        v2 &+= v1
        v1 = rotated(v1, by: 17) ^ v2
        v2 = rotated(v2, by: 32)
    }

    @inline(__always)
    private func rotated(_ value: UInt64, by count: UInt64) -> UInt64 {
        value &<< count | value &>> (64 &- count)
    }
}
