/// The buckets of one shard: an open-addressing hash table of theoretical arrival times, bounded in memory.
///
/// A bucket whose arrival time has passed is full, which is what an absent bucket is: it can be dropped for free. Each access
/// looks at two slots further on and drops what it finds full, so the table is swept as fast as it is used.
struct BucketTable: ~Copyable {
    private struct Slot {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// 0 marks a free slot.
        var arrival: UInt64 = 0
        /// The debt above which the bucket refuses, kept to tell which buckets may be evicted.
        var tolerance: UInt64 = 0
    }

    // INVARIANT: the slot count is a power of two and more than `count`, so a probe always ends at a free slot.
    private var slots: [Slot]
    private(set) var count = 0
    private let maximumCount: Int
    private var sweepCursor = 0
    /// Buckets dropped while still owing, because the shard was at its cap.
    private(set) var evictions = 0

    init(maximumCount: Int) {
        self.maximumCount = max(maximumCount, 8)
        slots = Array(repeating: Slot(), count: 16)
    }

    /// The bucket's theoretical arrival time, 0 when it is full.
    func arrival(_ key: BucketKey) -> UInt64 {
        let index = find(key)
        return slots[index].arrival
    }

    /// Whether a bucket could be stored: it is there, there is room, or something not throttled can make room.
    mutating func canStore(_ key: BucketKey, now: UInt64) -> Bool {
        if count < maximumCount { return true }
        if slots[find(key)].arrival != 0 { return true }
        return makeRoom(now: now)
    }

    /// Sets a bucket. `canStore` must have said yes under the same lock.
    mutating func store(_ key: BucketKey, arrival: UInt64, tolerance: UInt64, now: UInt64) {
        var index = find(key)
        if arrival <= now {
            if slots[index].arrival != 0 { remove(at: index) }
            return
        }
        if slots[index].arrival == 0 {
            if (count + 1) * 4 > slots.count * 3 {
                grow(now: now)
                index = find(key)
            }
            count += 1
        }
        slots[index] = Slot(high: key.high, low: key.low, arrival: arrival, tolerance: tolerance)
    }

    /// Drops up to two full buckets.
    mutating func sweep(now: UInt64) {
        for _ in 0..<2 {
            let arrival = slots[sweepCursor].arrival
            if arrival != 0, arrival <= now {
                // Something may move into this slot: look at it again next time.
                remove(at: sweepCursor)
            } else {
                sweepCursor = (sweepCursor + 1) & (slots.count - 1)
            }
        }
    }

    private func find(_ key: BucketKey) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: key.low) & mask
        while slots[index].arrival != 0, slots[index].low != key.low || slots[index].high != key.high {
            index = (index + 1) & mask
        }
        return index
    }

    /// Frees a slot and closes the gap, so that probes need no tombstones.
    private mutating func remove(at removed: Int) {
        let mask = slots.count - 1
        var gap = removed
        var index = (removed + 1) & mask
        while slots[index].arrival != 0 {
            let home = Int(truncatingIfNeeded: slots[index].low) & mask
            if (index - home) & mask >= (index - gap) & mask {
                slots[gap] = slots[index]
                gap = index
            }
            index = (index + 1) & mask
        }
        slots[gap].arrival = 0
        count -= 1
    }

    private mutating func grow(now: UInt64) {
        let old = slots
        slots = Array(repeating: Slot(), count: old.count * 2)
        sweepCursor = 0
        count = 0
        for slot in old where slot.arrival > now {
            slots[find(BucketKey(high: slot.high, low: slot.low))] = slot
            count += 1
        }
    }

    /// At the cap: drops a full bucket, or of the next 32 slots the one that owes least among those that are not refusing,
    /// looking further, but never far, when those slots hold nothing to drop.
    /// A throttled bucket is never dropped: whoever fills the table would buy freedom with it.
    private mutating func makeRoom(now: UInt64) -> Bool {
        var victim: Int?
        var least = UInt64.max
        for examined in 0..<min(slots.count, 1024) {
            if examined >= 32, victim != nil { break }
            let index = sweepCursor
            sweepCursor = (sweepCursor + 1) & (slots.count - 1)
            let slot = slots[index]
            guard slot.arrival != 0 else { continue }
            let debt = slot.arrival > now ? slot.arrival - now : 0
            if debt <= slot.tolerance, debt < least {
                least = debt
                victim = index
            }
            if debt == 0 { break }
        }
        guard let victim else { return false }
        if least > 0 { evictions += 1 }
        remove(at: victim)
        return true
    }
}
