internal import Policy
internal import Transport

/// A claim that waits for its connection.
struct QueuedClaim: Sendable {
    /// That of its ``QueuePlace``.
    let id: UInt64
    let kind: LeaseKind
    /// Woken when the claim may be the next one.
    let waiter: Waiter
    let owner: LeaseOwner?
    /// Milliseconds since the epoch.
    let since: Int64
    let traceID: TraceID?

    /// The maximum number of waiting claims on one connection. Each of them runs a whole job before the next one.
    static let maxPerConnection = 16
}

// The queue for a connection.
extension LeaseShardState {
    /// The claims whose turn comes before that of `place`. A request without a place comes after all of them.
    func queue(before place: QueuePlace?, on key: LeaseKey) -> ArraySlice<QueuedClaim> {
        let queue = leases[key]?.queue[...] ?? []
        guard let place, let position = queue.firstIndex(where: { $0.id == place.id }) else { return queue }
        return queue[..<position]
    }

    /// The connection is free, but a claim that waits has it next.
    func conflict(with queue: ArraySlice<QueuedClaim>, _ claim: LeaseClaim) -> LeaseConflict? {
        guard let first = queue.first(where: { claim.matrix.excludes(claim.kind, $0.kind) }) else { return nil }
        return LeaseConflict(
            kind: first.kind.name, state: .reserved, job: nil, heldSince: first.since, retryAfterSeconds: 1,
            traceID: first.traceID, token: first.owner?.token(shownTo: claim.owner, about: claim.key.organization))
    }

    /// Returns `false` if the queue has no room.
    mutating func enqueue(_ claim: LeaseClaim, at place: QueuePlace, now: Moment) -> Bool {
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
