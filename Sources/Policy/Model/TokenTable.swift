/// Maps a token's digest to its principal, normally with one probe, whatever the number of tokens.
struct TokenTable: Sendable {
    private var slots: [Int32]
    private var digests: [TokenDigest] = []
    private var principals: [Principal] = []
    private let mask: UInt64

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = Array(repeating: -1, count: size)
        mask = UInt64(size - 1)
    }

    var count: Int { principals.count }

    /// Adds a token. Its digest must be new, and the table must have room.
    mutating func insert(_ digest: TokenDigest, _ principal: Principal) {
        precondition(principals.count < slots.count, "the table has room for the tokens it was made for")
        var slot = Int(digest.slot & mask)
        while slots[slot] >= 0 { slot = (slot + 1) & Int(mask) }
        slots[slot] = Int32(principals.count)
        digests.append(digest)
        principals.append(principal)
    }

    func principal(of digest: TokenDigest) -> Principal? {
        var slot = Int(digest.slot & mask)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if digests[index] == digest { return principals[index] }
            slot = (slot + 1) & Int(mask)
        }
        return nil
    }
}
