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

    /// The lease whose job is the response to the claim.
    private mutating func sharedLease(
        _ claim: LeaseClaim, now: Moment, _ waiter: () -> LeaseWaiter?
    ) -> SharedLease? {
        guard let record = leases[claim.key] else { return nil }
        // Requests that may run side by side have nothing to do with each other, even if they are equal.
        for lease in record.entries where claim.matrix.excludes(claim.kind, lease.kind) {
            guard let outcome = claim.outcome(of: lease, now: now.instant) else { continue }
            // The job is wanted now, so the next poll comes soon.
            update(claim.key, serial: lease.serial) { $0.isAwaited = true }
            return SharedLease(
                serial: lease.serial, progress: progress(of: lease, on: claim.key, outcome, waiter), outcome: outcome,
                generation: lease.generation,
                conflict: conflict(of: lease, on: claim.key, shownTo: claim.owner, now: now))
        }
        return nil
    }

    /// What `decide` would find. Changes nothing.
    func preview(_ claim: LeaseClaim, now: Moment) -> LeasePreview {
        guard let record = leases[claim.key] else { return previewOfCaps(claim) }
        for lease in record.entries where claim.matrix.excludes(claim.kind, lease.kind) {
            guard let outcome = claim.outcome(of: lease, now: now.instant) else { continue }
            return .shared(outcome, conflict(of: lease, on: claim.key, shownTo: claim.owner, now: now))
        }
        let conflict =
            conflict(claim.key, kind: claim.kind, matrix: claim.matrix, shownTo: claim.owner, now: now)
            ?? conflict(with: record.queue[...], claim)
        return conflict.map { .conflict($0) } ?? previewOfCaps(claim)
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

    /// The conflict that refuses an operation, or `nil`. Marks the leases of the connection as awaited.
    private mutating func refusal(of claim: LeaseClaim, at place: QueuePlace?, now: Moment) -> LeaseConflict? {
        let key = claim.key
        guard
            let conflict = conflict(key, kind: claim.kind, matrix: claim.matrix, shownTo: claim.owner, now: now)
                ?? conflict(with: queue(before: place, on: key), claim)
        else { return nil }
        for index in leases[key]?.entries.indices ?? 0..<0 { leases[key]?.entries[index].isAwaited = true }
        return conflict
    }
}

// The queue for a connection.
extension LeaseShardState {
    /// The claims whose turn comes before that of `place`. A request without a place comes after all of them.
    private func queue(before place: QueuePlace?, on key: LeaseKey) -> ArraySlice<QueuedClaim> {
        let queue = leases[key]?.queue[...] ?? []
        guard let place, let position = queue.firstIndex(where: { $0.id == place.id }) else { return queue }
        return queue[..<position]
    }

    /// The connection is free, but a claim that waits has it next.
    private func conflict(with queue: ArraySlice<QueuedClaim>, _ claim: LeaseClaim) -> LeaseConflict? {
        guard let first = queue.first(where: { claim.matrix.excludes(claim.kind, $0.kind) }) else { return nil }
        return LeaseConflict(
            kind: first.kind.name, state: .reserved, job: nil, heldSince: first.since, retryAfterSeconds: 1,
            traceID: first.traceID, token: first.owner?.token(shownTo: claim.owner, about: claim.key.organization))
    }

    /// Returns `false` if the queue has no room.
    private mutating func enqueue(_ claim: LeaseClaim, at place: QueuePlace, now: Moment) -> Bool {
        let queue = leases[claim.key]?.queue ?? []
        if queue.contains(where: { $0.id == place.id }) { return true }
        guard queue.count < QueuedClaim.maxPerConnection else { return false }
        leases[claim.key, default: ConnectionLeases()].queue.append(
            QueuedClaim(
                id: place.id, kind: claim.kind, waiter: place.waiter, owner: claim.owner, since: now.epochMilliseconds,
                traceID: claim.traceID))
        return true
    }

    mutating func leaveQueue(_ id: UInt64, of key: LeaseKey) {
        guard let position = leases[key]?.queue.firstIndex(where: { $0.id == id }) else { return }
        leases[key]?.queue.remove(at: position)
        queueMoved(key)
    }

    /// A lease or a place of the connection is gone, so it may be the turn of others. Each of them decides again, because several
    /// may run side by side.
    mutating func queueMoved(_ key: LeaseKey) {
        guard let record = leases[key] else { return }
        if record.isEmpty { return leases[key] = nil }
        if record.entries.isEmpty {
            // They belong to the requests that had the connection.
            leases[key]?.endedEarly = []
            leases[key]?.seenEarly = []
        }
        for claim in record.queue { claim.waiter.wake() }
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
