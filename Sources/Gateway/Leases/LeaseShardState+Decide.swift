internal import Policy
internal import Transport

// Who gets a lease, who conflicts, and who has it already because it sent the same request before.
extension LeaseShardState {
    /// Decides a claim. `charge` is called only if nothing else is in the way; without a charge nothing is taken.
    ///
    /// With a `place` the claim waits there if another operation has the connection. `waiter` makes the waiter for the job of
    /// another lease.
    mutating func decide(
        _ claim: LeaseClaim, at place: QueuePlace? = nil, serial: UInt64, now: Moment, waiter: () -> LeaseWaiter?,
        charge: () -> Bool
    ) -> (decision: Claimed, position: UInt64) {
        let key = claim.key
        // Most connections are free, and then one look is enough.
        if leases[key] != nil {
            removeSettled(key, now: now.instant)
            if let shared = sharedLease(claim, now: now, waiter) { return (.shared(shared), 0) }
            if let conflict = refusal(of: claim, at: place, now: now) {
                return (
                    place.map { enqueue(claim, at: $0, now: now) } ?? false ? .queued(conflict) : .conflict(conflict), 0
                )
            }
        }
        let isForJob = claim.kind.lifetime == .job
        if isForJob, let cap = tracker.running.begin(serial, on: key, of: claim.owner?.token, caps: claim.caps) {
            return (.capped(cap), 0)
        }
        guard charge() else {
            if isForJob { tracker.running.end(serial, on: key) }
            return (.notCharged, 0)
        }
        let lease = LeaseEntry(
            serial: serial, generation: nextGeneration(now), kind: claim.kind, family: claim.family, state: .reserved,
            job: nil, since: now.epochMilliseconds, revision: serial, traceID: claim.traceID, owner: claim.owner,
            origin: claim.origin, beganAt: now.instant)
        let position = add(key, lease)
        if let place { leaveQueue(place.id, of: key) }
        return (.granted(generation: lease.generation), position)
    }

    /// What `decide` found. A lease itself cannot leave the lock, because dropping it takes the lock again.
    enum Claimed {
        case granted(generation: UInt64)
        case notCharged
        case capped(JobCap)
        case conflict(LeaseConflict)
        case queued(LeaseConflict)
        case shared(SharedLease)
    }

    /// The lease whose job is the response to the claim, and why.
    private func sharer(_ claim: LeaseClaim, now: Moment) -> (lease: LeaseEntry, outcome: RequestOutcome)? {
        // Requests that may run side by side have nothing to do with each other, even if they are equal.
        for lease in leases[claim.key]?.entries ?? [] where claim.matrix.excludes(claim.kind, lease.kind) {
            if let outcome = claim.outcome(of: lease, now: now.instant) { return (lease, outcome) }
        }
        return nil
    }

    /// What is in the way of the claim: a lease, or the claims that wait before `place`.
    private func obstacle(to claim: LeaseClaim, at place: QueuePlace?, now: Moment) -> LeaseConflict? {
        conflict(claim.key, kind: claim.kind, matrix: claim.matrix, shownTo: claim.owner, now: now)
            ?? conflict(with: queue(before: place, on: claim.key), claim)
    }

    private mutating func sharedLease(
        _ claim: LeaseClaim, now: Moment, _ waiter: () -> LeaseWaiter?
    ) -> SharedLease? {
        guard let (lease, outcome) = sharer(claim, now: now) else { return nil }
        // The job is wanted now, so the next poll comes soon.
        update(claim.key, serial: lease.serial) { $0.isAwaited = true }
        return SharedLease(
            serial: lease.serial, progress: progress(of: lease, on: claim.key, outcome, waiter), outcome: outcome,
            generation: lease.generation,
            conflict: conflict(of: lease, on: claim.key, shownTo: claim.owner, now: now))
    }

    /// What `decide` would find. Changes nothing.
    func preview(_ claim: LeaseClaim, now: Moment) -> LeasePreview {
        if let (lease, outcome) = sharer(claim, now: now) {
            return .shared(outcome, conflict(of: lease, on: claim.key, shownTo: claim.owner, now: now))
        }
        return obstacle(to: claim, at: nil, now: now).map { .conflict($0) } ?? previewOfCaps(claim)
    }

    private func previewOfCaps(_ claim: LeaseClaim) -> LeasePreview {
        guard claim.kind.lifetime == .job else { return .free }
        let cap = tracker.running.exceeded(claim.caps, claim.key.organization, claim.owner?.token)
        return cap.map { .capped($0) } ?? .free
    }

    /// Under the lock that found the lease, because the job may begin and end before another call could wait for it.
    private mutating func progress(
        of lease: LeaseEntry, on key: LeaseKey, _ outcome: RequestOutcome, _ waiter: () -> LeaseWaiter?
    ) -> SharedLease.Progress {
        if let job = lease.job, outcome != .deduplicated || lease.mayHaveStarted(job) { return .job(job) }
        guard lease.waiters.count < LeaseEntry.maxWaiters, let waiter = waiter() else { return .tooManyWaiters }
        update(key, serial: lease.serial) { $0.waiters.append(waiter) }
        return .awaited(waiter)
    }

    /// `waiter` does not wait any more.
    mutating func stopWaiting(_ waiter: LeaseWaiter, for serial: UInt64, of key: LeaseKey) {
        update(key, serial: serial) { lease in lease.waiters.removeAll { $0 === waiter } }
    }

    /// What refuses the claim, or `nil`. Marks the leases of the connection as awaited.
    private mutating func refusal(of claim: LeaseClaim, at place: QueuePlace?, now: Moment) -> LeaseConflict? {
        guard let conflict = obstacle(to: claim, at: place, now: now) else { return nil }
        for index in leases[claim.key]?.entries.indices ?? 0..<0 { leases[claim.key]?.entries[index].isAwaited = true }
        return conflict
    }
}

extension LeaseClaim {
    /// Why the job of `lease` is the response to this claim; `nil` if it is not.
    fileprivate func outcome(of lease: LeaseEntry, now: Instant) -> RequestOutcome? {
        guard lease.kind.lifetime == .job, !lease.hasSettled(at: now) else { return nil }
        if lease.isStartingOrRunning, isResend(of: lease, now) { return .deduplicated }
        switch onConflict {
        case .attach where lease.isStartingOrRunning && lease.kind.name == kind.name: return .attached
        case .skip: return .skipped
        case .fail, .attach, .wait: return nil
        }
    }

    private func isResend(of lease: LeaseEntry, _ now: Instant) -> Bool {
        guard let owner, let resendWindow, let first = lease.owner, now < lease.beganAt + resendWindow else {
            return false
        }
        return first.isResent(by: owner)
    }
}

extension LeaseEntry {
    /// Not a job that is being cancelled, or is over: it is no answer to a request for a new one.
    fileprivate var isStartingOrRunning: Bool {
        switch state {
        case .draining, .settling: false
        // It was cancelled without the gateway.
        case .held: !(job?.status.spells("cancelling") ?? false)
        case .reserved, .uncertain: true
        }
    }
}
