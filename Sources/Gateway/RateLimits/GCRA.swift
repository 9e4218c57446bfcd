// The arithmetic of the limits: the generic cell rate algorithm. A bucket is one number, its theoretical arrival time: the time at
// which it is full again. It is pure: `RateLimiter` keeps the buckets and locks them.
extension RateLimit {
    /// Compares the bucket with the request, where `arrival` is the bucket's theoretical arrival time.
    mutating func check(arrival: UInt64, now: UInt64) {
        let debt = arrival > now ? arrival - now : 0
        isCharged = false
        isKnown = true
        isExceeded = debt + interval > capacity
        retryAfter = isExceeded ? debt + interval - capacity : 0
        report(debt: debt)
    }

    /// The bucket's new theoretical arrival time once the unit is taken.
    mutating func charge(arrival: UInt64, now: UInt64) -> UInt64 {
        isCharged = true
        let charged = max(arrival, now) + interval
        report(debt: charged - now)
        return charged
    }

    /// The bucket's new theoretical arrival time once the unit that was taken at `takenAt` is given back; `nil` where the bucket
    /// is full already.
    ///
    /// Time that passed since the charge is not given back: a bucket that was full would not have gained it.
    func refund(arrival: UInt64, takenAt: UInt64, now: UInt64) -> UInt64? {
        guard arrival > now else { return nil }
        let elapsed = now > takenAt ? now - takenAt : 0
        let amount = interval > elapsed ? interval - elapsed : 0
        return max(now, arrival - min(arrival, amount))
    }

    /// The table is full of buckets that are all refusing: admitting uncounted would let whoever filled it go free.
    mutating func refusedForRoom() {
        isExceeded = true
        retryAfter = 1_000_000_000
    }

    mutating func refunded(debt: UInt64) {
        isCharged = false
        report(debt: debt)
    }

    /// After a refusal nothing was taken: what is left is what was there.
    private mutating func report(debt: UInt64) {
        fullAfter = debt
        remaining = debt < capacity ? (capacity - debt) / interval : 0
    }
}
