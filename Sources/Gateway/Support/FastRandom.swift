/// A small, fast random number generator (xoshiro256++) for identifiers that must be unique but need not be secret.
///
/// Each worker has its own, so it needs no lock. Never use it for tokens or keys.
package struct FastRandom: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Seeds the generator, by default from the system's source.
    package init(seed: some RandomNumberGenerator = SystemRandomNumberGenerator()) {
        var seed = seed
        // A state of all zeros would stay zero.
        state = (seed.next(), seed.next(), seed.next(), seed.next() | 1)
    }

    package mutating func next() -> UInt64 {
        let result = rotated(state.0 &+ state.3, by: 23) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, by: 45)
        return result
    }

    private func rotated(_ value: UInt64, by count: UInt64) -> UInt64 {
        value << count | value >> (64 - count)
    }
}
