/// The name of one bucket: a keyed 128-bit hash of what the bucket counts for.
///
/// Two different inputs share a bucket only by a 128-bit collision under a key nobody outside the process knows, so a client
/// cannot choose a connection id that drains somebody else's bucket.
package struct BucketKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64
}

/// Makes ``BucketKey``s: SipHash-1-3 with 128 bits of output under a key drawn once per process.
///
/// A value: copy it to continue from a common beginning, such as a rule's name hashed when the policy was loaded.
/// Every part is delimited, so ("ab", "c") and ("a", "bc") differ.
package struct BucketKeyHasher: Sendable {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    /// Starts a key. All hashers of one process must start from the same key to agree.
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

    /// Adds bytes, such as a connection id as it stands in the request.
    package mutating func combine(_ bytes: Span<UInt8>) {
        // The length in front delimits the part.
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

    /// The key of everything combined so far.
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

    // Two dozen of these make a key: as calls they cost more than what they do.
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
