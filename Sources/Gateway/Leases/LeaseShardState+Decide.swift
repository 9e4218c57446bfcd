internal import Policy
internal import Transport

// Who gets a lease, who conflicts, and who has it already because it sent the same request before.
extension LeaseShardState {
    /// Decides a claim. `charge` is called only if nothing else is in the way; without a charge nothing is taken.
    ///
    /// `waiter` makes the waiter for the job of the claimant's own lease.
    mutating func decide(
        _ claim: LeaseClaim, serial: UInt64, now: Moment, waiter: () -> LeaseWaiter?, charge: () -> Bool
    ) -> (decision: Claimed, position: UInt64) {
        let key = claim.key
        // Most connections are free, and then one look is enough.
        if leases[key] != nil {
            removeSettled(key, now: now.instant)
            if let own = ownLease(claim, now: now, waiter) { return (.resent(own), 0) }
            if let conflict = refusal(of: claim, now: now) {
                return (.conflict(conflict), 0)
            }
        }
        guard charge() else { return (.notCharged, 0) }
        let lease = LeaseEntry(
            serial: serial, generation: nextGeneration(now), kind: claim.kind, family: claim.family, state: .reserved,
            job: nil, since: now.epochMilliseconds, revision: serial, traceID: claim.traceID, owner: claim.owner,
            origin: claim.origin, beganAt: now.instant)
        return (.granted(generation: lease.generation), add(key, lease))
    }

    /// What `decide` found. A lease itself cannot leave the lock, because dropping it takes the lock again.
    enum Claimed {
        case granted(generation: UInt64)
        case notCharged
        case conflict(LeaseConflict)
        case resent(OwnLease)
    }

    /// The lease that an earlier sending of the same request has. A job that is being cancelled, or is over, is no answer to a
    /// request for a new one.
    private mutating func ownLease(_ claim: LeaseClaim, now: Moment, _ waiter: () -> LeaseWaiter?) -> OwnLease? {
        guard let owner = claim.owner, let window = claim.resendWindow, let record = leases[claim.key] else {
            return nil
        }
        for lease in record.entries where now.instant < lease.beganAt + window {
            // Requests that may run side by side are two requests, even if they are equal.
            guard claim.matrix.excludes(claim.kind, lease.kind), let first = lease.owner, first.isRepeated(by: owner)
            else { continue }
            switch lease.state {
            case .draining, .settling: continue
            // It was cancelled without the gateway.
            case .held where lease.job?.status.spells("cancelling") ?? false: continue
            case .reserved, .held, .uncertain:
                // The job is wanted now, so the next poll comes soon.
                update(claim.key, serial: lease.serial) { $0.isAwaited = true }
                return OwnLease(
                    serial: lease.serial, progress: progress(of: lease, on: claim.key, waiter),
                    generation: lease.generation,
                    conflict: conflict(of: lease, on: claim.key, shownTo: claim.owner, now: now))
            }
        }
        return nil
    }

    /// Under the lock that found the lease, because the job may begin and end before another call could wait for it.
    private mutating func progress(
        of lease: LeaseEntry, on key: LeaseKey, _ waiter: () -> LeaseWaiter?
    ) -> OwnLease.Progress {
        if let job = lease.job, lease.mayHaveStarted(job) { return .job(job) }
        guard lease.waiters.count < LeaseEntry.maxWaiters, let waiter = waiter() else { return .tooManyWaiters }
        update(key, serial: lease.serial) { $0.waiters.append(waiter) }
        return .awaited(waiter)
    }

    /// `waiter` does not wait any more.
    mutating func stopWaiting(_ waiter: LeaseWaiter, for serial: UInt64, of key: LeaseKey) {
        update(key, serial: serial) { lease in lease.waiters.removeAll { $0 === waiter } }
    }

    /// The conflict that refuses an operation, or `nil`. Marks the leases of the connection as awaited.
    private mutating func refusal(of claim: LeaseClaim, now: Moment) -> LeaseConflict? {
        let key = claim.key
        guard
            let conflict = conflict(key, kind: claim.kind, matrix: claim.matrix, shownTo: claim.owner, now: now)
        else { return nil }
        for index in leases[key]?.entries.indices ?? 0..<0 { leases[key]?.entries[index].isAwaited = true }
        return conflict
    }
}
