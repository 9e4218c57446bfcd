internal import Policy

// The generic cell rate algorithm. A bucket is one number, its theoretical arrival time: the time at which the bucket
// is full again. The code is pure; `RateLimiter` stores and locks the buckets.
//
// The clock has whole nanoseconds, but a unit need not be one: all sums are exact, so a limit does not drift.
extension RateLimit {
    /// Checks the request against a bucket with the theoretical arrival time `arrival`. Then either `charge` or `settle` follows.
    mutating func check(arrival: ExactNanoseconds, now: UInt64) {
        debt = debt(at: arrival, now)
        let wanted = sum(debt, charge)
        isCharged = false
        isKnown = true
        isExceeded = isMore(wanted, than: capacity)
        retryAfter = isExceeded ? difference(wanted, capacity).ceiling : 0
    }

    /// The bucket's new theoretical arrival time after the request was charged.
    mutating func charge(arrival: ExactNanoseconds, now: UInt64) -> ExactNanoseconds {
        isCharged = true
        debt = sum(debt(at: arrival, now), charge)
        settle()
        return ExactNanoseconds(ceiling: now + debt.ceiling, excess: debt.excess)
    }

    /// The bucket's new theoretical arrival time after the units that were taken at `takenAt` are returned; `nil` if the
    /// bucket is full.
    ///
    /// The time since the charge is subtracted, because a full bucket would not have gained anything in that time.
    func refund(arrival: ExactNanoseconds, takenAt: UInt64, now: UInt64) -> ExactNanoseconds? {
        let debt = debt(at: arrival, now)
        guard debt.ceiling > 0 else { return nil }
        let elapsed = now > takenAt ? now - takenAt : 0
        var left = debt
        if charge.ceiling > elapsed {
            let amount = ExactNanoseconds(ceiling: charge.ceiling - elapsed, excess: charge.excess)
            guard isMore(debt, than: amount) else { return nil }
            left = difference(debt, amount)
        }
        return ExactNanoseconds(ceiling: now + left.ceiling, excess: left.excess)
    }

    /// The table is full of refusing buckets. Admitting the request uncounted would reward the client that filled the
    /// table.
    mutating func refusedForRoom() {
        isExceeded = true
        retryAfter = 1_000_000_000
    }

    mutating func refunded(_ arrival: ExactNanoseconds, now: UInt64) {
        isCharged = false
        debt = debt(at: arrival, now)
        settle()
    }

    /// Nanoseconds until the bucket is full again.
    package var fullAfter: UInt64 { debt.ceiling }

    /// Computes what is left after the request. After a refusal nothing was taken, so the result shows the unchanged bucket.
    ///
    /// Once for each limit, because a response reads it several times.
    mutating func settle() {
        guard isMore(capacity, than: debt) else { return remaining = 0 }
        let left = difference(capacity, debt)
        // Most limits have a unit of whole nanoseconds.
        remaining = parts == 1 ? left.ceiling / unit.ceiling : unitsOfParts(in: left)
    }

    /// Nanoseconds until the next change that matters to the client: until the request passes if it was refused, until one
    /// unit is available if none is, else until the bucket is full.
    package var resetAfter: UInt64 {
        if isExceeded { return retryAfter }
        let next = sum(debt, unit)
        return isMore(next, than: capacity) ? difference(next, capacity).ceiling : debt.ceiling
    }

    private func debt(at arrival: ExactNanoseconds, _ now: UInt64) -> ExactNanoseconds {
        guard arrival.ceiling > now else { return .zero }
        // A reload may have changed the parts; then less than a nanosecond is lost.
        return ExactNanoseconds(
            ceiling: arrival.ceiling - now, excess: arrival.excess < parts ? arrival.excess : 0)
    }

    @inline(__always)
    private func sum(_ one: ExactNanoseconds, _ other: ExactNanoseconds) -> ExactNanoseconds {
        // The parts are at most 2^30, so their sum does not overflow.
        let excess = one.excess &+ other.excess
        let ceiling = one.ceiling &+ other.ceiling
        return excess < parts
            ? ExactNanoseconds(ceiling: ceiling, excess: excess)
            : ExactNanoseconds(ceiling: ceiling &- 1, excess: excess &- parts)
    }

    /// `one` must not be less than `other`.
    @inline(__always)
    private func difference(_ one: ExactNanoseconds, _ other: ExactNanoseconds) -> ExactNanoseconds {
        let ceiling = one.ceiling &- other.ceiling
        return one.excess >= other.excess
            ? ExactNanoseconds(ceiling: ceiling, excess: one.excess &- other.excess)
            : ExactNanoseconds(ceiling: ceiling &+ 1, excess: one.excess &+ parts &- other.excess)
    }

    @inline(__always)
    private func isMore(_ one: ExactNanoseconds, than other: ExactNanoseconds) -> Bool {
        one.ceiling > other.ceiling || (one.ceiling == other.ceiling && one.excess < other.excess)
    }

    /// The whole units that a duration is worth.
    // Not inlined: 128-bit division is long.
    @inline(never)
    private func unitsOfParts(in time: ExactNanoseconds) -> UInt64 {
        func inParts(_ time: ExactNanoseconds) -> UInt128 {
            UInt128(time.ceiling) * UInt128(parts) - UInt128(time.excess)
        }
        return UInt64(inParts(time) / inParts(unit))
    }
}
