internal import Policy

/// The buckets of one shard: an open-addressing hash table of theoretical arrival times, with a maximum size.
///
/// A bucket whose arrival time has passed is full. An absent bucket counts as full, so a full one can be removed. Each
/// access examines two more slots and removes full buckets, so the sweep is as fast as the use of the table.
struct BucketTable: ~Copyable {
    /// 32 bytes. A shard has between 4/3 and 8/3 slots for each bucket, after its first 16.
    private struct Slot {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// The arrival time. A `ceiling` of 0 marks a free slot. Not one struct with `excess`, because that would need 8 bytes more.
        var ceiling: UInt64 = 0
        var excess: UInt32 = 0
        /// See ``LimitPace/tolerance``. It decides which buckets may be evicted.
        var tolerance: UInt32 = 0
    }

    static var slotBytes: Int { MemoryLayout<Slot>.stride }

    /// The memory of the slots.
    var bytes: Int { slots.count * Self.slotBytes }

    // INVARIANT: the slot count is a power of two and more than `count`, so a probe always ends at a free slot.
    private var slots: [Slot]
    private(set) var count = 0
    private let maximumCount: Int
    private var sweepCursor = 0
    private var lastUse: UInt64 = 0
    /// The number of buckets that were removed with a debt, because the shard was at its maximum.
    private(set) var evictions = 0

    init(maximumCount: Int) {
        self.maximumCount = max(maximumCount, 8)
        slots = Array(repeating: Slot(), count: 16)
    }

    /// `now`, or the latest time that the table was used at. Each worker caches its clock, so a call can bring an older time than the
    /// call before; with that, a bucket would seem to have more debt than it has, and admit one request too few.
    mutating func latest(_ now: UInt64) -> UInt64 {
        lastUse = max(lastUse, now)
        return lastUse
    }

    /// The bucket's theoretical arrival time; 0 if the bucket is full.
    func arrival(_ key: BucketKey) -> ExactNanoseconds {
        let index = find(key)
        return ExactNanoseconds(ceiling: slots[index].ceiling, excess: slots[index].excess)
    }

    /// Whether the bucket can be stored: it exists, the table has room, or a bucket that is not refusing can be evicted.
    mutating func canStore(_ key: BucketKey, now: UInt64) -> Bool {
        if count < maximumCount { return true }
        if slots[find(key)].ceiling != 0 { return true }
        return makeRoom(now: now)
    }

    /// Sets a bucket. `canStore` must have returned `true` under the same lock.
    mutating func store(_ key: BucketKey, arrival: ExactNanoseconds, tolerance: UInt32, now: UInt64) {
        var index = find(key)
        // `now` is whole, so this is exact.
        if arrival.ceiling <= now {
            if slots[index].ceiling != 0 { remove(at: index) }
            return
        }
        if slots[index].ceiling == 0 {
            if (count + 1) * 4 > slots.count * 3 {
                grow(now: now)
                index = find(key)
            }
            count += 1
        }
        slots[index] = Slot(
            high: key.high, low: key.low, ceiling: arrival.ceiling, excess: arrival.excess, tolerance: tolerance)
    }

    /// Drops up to two full buckets.
    mutating func sweep(now: UInt64) {
        for _ in 0..<2 {
            let arrival = slots[sweepCursor].ceiling
            if arrival != 0, arrival <= now {
                // Another bucket may move into this slot, so the next sweep examines it again.
                remove(at: sweepCursor)
            } else {
                sweepCursor = (sweepCursor + 1) & (slots.count - 1)
            }
        }
    }

    private func find(_ key: BucketKey) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: key.low) & mask
        while slots[index].ceiling != 0, slots[index].low != key.low || slots[index].high != key.high {
            index = (index + 1) & mask
        }
        return index
    }

    /// Frees a slot and closes the gap, so that searches need no tombstones.
    private mutating func remove(at removed: Int) {
        let mask = slots.count - 1
        var gap = removed
        var index = (removed + 1) & mask
        while slots[index].ceiling != 0 {
            let home = Int(truncatingIfNeeded: slots[index].low) & mask
            if (index - home) & mask >= (index - gap) & mask {
                slots[gap] = slots[index]
                gap = index
            }
            index = (index + 1) & mask
        }
        slots[gap].ceiling = 0
        count -= 1
    }

    private mutating func grow(now: UInt64) {
        let old = slots
        slots = Array(repeating: Slot(), count: old.count * 2)
        sweepCursor = 0
        count = 0
        for slot in old where slot.ceiling > now {
            slots[find(BucketKey(high: slot.high, low: slot.low))] = slot
            count += 1
        }
    }

    /// At the maximum: removes a full bucket, or the bucket with the least debt of the next 32 slots that is not
    /// refusing. If those slots have no such bucket, examines up to 1,024 slots. A refusing bucket is never removed,
    /// because a client could end its refusal by filling the table.
    private mutating func makeRoom(now: UInt64) -> Bool {
        var victim: Int?
        var least = UInt64.max
        for examined in 0..<min(slots.count, 1024) {
            if examined >= 32, victim != nil { break }
            let index = sweepCursor
            sweepCursor = (sweepCursor + 1) & (slots.count - 1)
            let slot = slots[index]
            guard slot.ceiling != 0 else { continue }
            let debt = slot.ceiling > now ? slot.ceiling - now : 0
            // Rounded up, as the tolerance is rounded down.
            let units = (debt + 1 << UInt64(LimitPace.toleranceUnit) - 1) >> UInt64(LimitPace.toleranceUnit)
            if units <= UInt64(slot.tolerance), debt < least {
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
