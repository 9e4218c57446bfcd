// The generic cell rate algorithm. A bucket is one number, its theoretical arrival time: the time at which the bucket
// is full again. The code is pure; `RateLimiter` stores and locks the buckets.
extension RateLimit {
    /// Checks the request against a bucket with the theoretical arrival time `arrival`.
    mutating func check(arrival: UInt64, now: UInt64) {
        let debt = arrival > now ? arrival - now : 0
        isCharged = false
        isKnown = true
        isExceeded = debt + interval > capacity
        retryAfter = isExceeded ? debt + interval - capacity : 0
        report(debt: debt)
    }

    /// The bucket's new theoretical arrival time after one unit was taken.
    mutating func charge(arrival: UInt64, now: UInt64) -> UInt64 {
        isCharged = true
        let charged = max(arrival, now) + interval
        report(debt: charged - now)
        return charged
    }

    /// The bucket's new theoretical arrival time after the unit that was taken at `takenAt` is returned; `nil` if the
    /// bucket is full.
    ///
    /// The time since the charge is subtracted, because a full bucket would not have gained anything in that time.
    func refund(arrival: UInt64, takenAt: UInt64, now: UInt64) -> UInt64? {
        guard arrival > now else { return nil }
        let elapsed = now > takenAt ? now - takenAt : 0
        let amount = interval > elapsed ? interval - elapsed : 0
        return max(now, arrival - min(arrival, amount))
    }

    /// The table is full of refusing buckets. Admitting the request uncounted would reward the client that filled the
    /// table.
    mutating func refusedForRoom() {
        isExceeded = true
        retryAfter = 1_000_000_000
    }

    mutating func refunded(debt: UInt64) {
        isCharged = false
        report(debt: debt)
    }

    /// After a refusal nothing was taken, so the result shows the unchanged bucket.
    private mutating func report(debt: UInt64) {
        fullAfter = debt
        remaining = debt < capacity ? (capacity - debt) / interval : 0
    }
}
