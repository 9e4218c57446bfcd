internal import Synchronization
package import Transport

/// The records of all requests with a key, shared by all workers.
///
/// The order of locks: a record's shard, then the shares or the journal. A lease calls no record: it tells the record's follower,
/// and the record reads that when it is looked at, and once a second.
package final class IdempotencyTable: Sendable {
    /// The number of records in each state, for metrics.
    package struct Usage: Sendable {
        package var records: [IdempotencyState.Phase: Int] = [:]
        package var bytes = 0
        package var capacityBytes = 0
        /// `nil` without a journal.
        package var isJournalAvailable: Bool?
        package var journalBytes = 0

        package init() {}
    }

    private let shards: [IdempotencyShard]
    private let shares: IdempotencyShares
    private let capacity: Int
    let journal: IdempotencyJournal?
    private let serials = Atomic<UInt64>(1)
    private let count = Atomic<Int>(0)

    /// With a journal, records survive the process.
    package init(capacityBytes: Int, shardCount: Int = 16, journal: IdempotencyJournal? = nil) {
        precondition(shardCount > 0 && shardCount & (shardCount - 1) == 0, "the shard count is a power of two")
        capacity = capacityBytes
        shares = IdempotencyShares(capacity: capacityBytes)
        self.journal = journal
        shards = (0..<shardCount).map { _ in IdempotencyShard() }
    }

    /// Whether there is a record with this identity that has not expired. Changes nothing.
    func hasRecord(_ id: IdempotencyRecordID, now: Instant) -> Bool {
        shard(of: id).state.withLock { $0.records[id].map { $0.hasBegun && !$0.isExpired(at: now) } ?? false }
    }

    /// What the record of the claim says; `nil` if there is none.
    ///
    /// `waiter`, if there is one, is woken when the record changes, unless too many wait already.
    func find(_ claim: IdempotencyClaim, now: Instant, waiter: Waiter? = nil) -> IdempotencyFinding? {
        shard(of: claim.id).state.withLock { state in
            update(claim.id, in: &state, now: now)
            // One that is not admitted yet may still be refused.
            guard let record = state.records[claim.id], record.hasBegun else { return nil }
            return finding(record, claim, waiter, &state)
        }
    }

    /// What became of a claim: of parallel claims with one key, exactly one gets a new record.
    enum Opening {
        case opened(OpenRecord)
        case found(IdempotencyFinding)
        case refused(IdempotencyRefusal)
    }

    /// Opens a record for the claim, unless there is one.
    func open(_ claim: IdempotencyClaim, now: Moment) -> Opening {
        if let journal, !journal.isAvailable { return .refused(.unavailable) }
        return shard(of: claim.id).state.withLock { state in
            update(claim.id, in: &state, now: now.instant)
            if let record = state.records[claim.id] { return .found(finding(record, claim, nil, &state)) }
            guard shares.take(IdempotencyRecord.baseCost, for: claim.organization) else {
                return .refused(.shareUsed(retryAfterSeconds: state.waitForOldest(now: now.instant)))
            }
            let milliseconds = claim.keep.components.seconds * 1000
            let record = IdempotencyRecord(
                serial: nextSerial(), organization: claim.organization, fingerprint: claim.fingerprint,
                openedAt: now.epochMilliseconds, expiresAtEpoch: now.epochMilliseconds + milliseconds,
                expiresAt: now.instant + claim.keep)
            state.records[claim.id] = record
            count.wrappingAdd(1, ordering: .relaxed)
            return .opened(OpenRecord(table: self, id: claim.id, serial: record.serial))
        }
    }

    private func finding(
        _ record: IdempotencyRecord, _ claim: IdempotencyClaim, _ waiter: Waiter?, _ state: inout IdempotencyShard.State
    ) -> IdempotencyFinding {
        guard record.fingerprint == claim.fingerprint else { return .reused }
        switch record.state {
        case .completed(let response): return .response(response)
        case .resolved(let job):
            guard let work = record.work else { return .unknown }
            return .job(job, work)
        case .started: break
        case .uncertain:
            guard let follower = record.follower, follower.current != .unknown else { return .unknown }
        }
        if let waiter, record.waiters.count < IdempotencyRecord.maxWaiters {
            state.records[claim.id]?.waiters.append(waiter)
        }
        return .inProgress(record.state.phase)
    }

    /// `waiter` gives up.
    func stopWaiting(_ waiter: Waiter, for id: IdempotencyRecordID) {
        shard(of: id).state.withLock { $0.records[id]?.waiters.removeAll { $0 === waiter } }
    }

    /// The work of the record begins, under this lease if it has one; or it is that of another request. Returns the position in the journal; from there on a crash
    /// leaves the record uncertain.
    func begin(
        _ id: IdempotencyRecordID, _ serial: UInt64, _ work: IdempotencyWork?, _ follower: LeaseWaiter?,
        as progress: IdempotencyState = .started
    ) -> UInt64 {
        shard(of: id).state.withLock { state in
            guard var record = state.records[id], record.serial == serial else { return 0 }
            record.work = work
            record.follower = follower
            record.state = progress
            record.hasBegun = true
            state.add(id, record)
            return journal?.append(.kept(IdempotencyJournalRecord(id, record))) ?? 0
        }
    }

    /// An event of the record with this serial number.
    func apply(_ event: IdempotencyState.Event, to id: IdempotencyRecordID, _ serial: UInt64) {
        shard(of: id).state.withLock { state in
            guard state.records[id]?.serial == serial else { return }
            apply(event, to: id, in: &state)
            // The lease may have told more before the response.
            if let event = state.records[id]?.pendingEvent { apply(event, to: id, in: &state) }
        }
    }

    private func apply(
        _ event: IdempotencyState.Event, to id: IdempotencyRecordID, in state: inout IdempotencyShard.State
    ) {
        guard var record = state.records[id] else { return }
        switch record.state.after(event) {
        case .unchanged: return
        case .removed: remove(id, record, from: &state)
        case .state(var next):
            if case .completed(let response) = next { next = .completed(fitted(response, of: &record)) }
            record.state = next
            for waiter in record.waiters { waiter.wake() }
            record.waiters = []
            if next.phase == .uncertain, record.follower != nil {
                state.uncertain.insert(id)
            } else {
                state.uncertain.remove(id)
            }
            if case .completed(let response) = next, response.body != nil { record.follower = nil }
            if next.phase == .resolved { record.follower = nil }
            state.records[id] = record
            _ = journal?.append(.kept(IdempotencyJournalRecord(id, record)))
        }
    }

    /// The response as far as it is kept: without its body if that is large, if the organization's share is used up, or if the disk is
    /// behind.
    private func fitted(_ response: StoredResponse, of record: inout IdempotencyRecord) -> StoredResponse {
        let cost = cost(of: response)
        guard response.cost <= StoredResponse.maxBodyBytes + StoredResponse.maxFieldBytes,
            !(journal?.isBehind ?? false),
            shares.take(cost, for: record.organization)
        else { return response.withoutBody }
        record.cost += cost
        return response
    }

    /// The memory of a kept response. The journal has a copy, for the next new file.
    func cost(of response: StoredResponse) -> Int { journal == nil ? response.cost : 2 * response.cost }

    private func remove(
        _ id: IdempotencyRecordID, _ record: IdempotencyRecord, from state: inout IdempotencyShard.State
    ) {
        for waiter in record.waiters { waiter.wake() }
        state.records[id] = nil
        count.wrappingSubtract(1, ordering: .relaxed)
        state.uncertain.remove(id)
        shares.give(record.cost, of: record.organization)
        if record.hasBegun { _ = journal?.append(.dropped(record.serial)) }
    }

    /// Takes over what the lease has told, and drops a record whose time is over.
    private func update(_ id: IdempotencyRecordID, in state: inout IdempotencyShard.State, now: Instant) {
        if let event = state.records[id]?.pendingEvent { apply(event, to: id, in: &state) }
        if let record = state.records[id], record.isExpired(at: now) { remove(id, record, from: &state) }
    }

    /// Takes over what leases have told, and drops records whose time is over. Call it about once a second.
    package func sweep(now: Instant) {
        guard count.load(ordering: .relaxed) > 0 else { return }
        journal?.failLateWaiters(now: now)
        for shard in shards {
            shard.state.withLock { state in
                for id in state.uncertain { update(id, in: &state, now: now) }
                dropExpired(in: &state, now: now)
                dropExpiredBehindOthers(in: &state, now: now)
            }
        }
    }

    /// Looks at the oldest records first, and stops at the first one whose time is not over.
    private func dropExpired(in state: inout IdempotencyShard.State, now: Instant) {
        while let (id, serial) = state.order.first {
            if let record = state.records[id], record.serial == serial {
                guard record.expiresAt <= now else { return }
                // A request in progress keeps its record; its turn comes again.
                if record.isExpired(at: now) { remove(id, record, from: &state) } else { return }
            }
            state.removeOldest()
        }
    }

    /// Once a minute, looks at all records: policies may have shortened their life, and then a younger one expires first.
    private func dropExpiredBehindOthers(in state: inout IdempotencyShard.State, now: Instant) {
        guard now >= state.nextFullSweep else { return }
        state.nextFullSweep = now + .seconds(60)
        for (id, record) in state.records where record.isExpired(at: now) { remove(id, record, from: &state) }
    }

    /// Adds a record of an earlier process. Before the first request.
    func restore(_ id: IdempotencyRecordID, _ record: IdempotencyRecord) {
        shard(of: id).state.withLock { state in
            shares.restore(record.cost, for: record.organization)
            count.wrappingAdd(1, ordering: .relaxed)
            state.add(id, record)
            if record.state.phase == .uncertain, record.follower != nil { state.uncertain.insert(id) }
            _ = journal?.append(.kept(IdempotencyJournalRecord(id, record)))
        }
    }

    /// Changes each uncertain record. Before the first request.
    func changeUncertain(_ change: (inout IdempotencyRecord) -> Void) {
        for shard in shards {
            shard.state.withLock { state in
                for (id, record) in state.records where record.state.phase == .uncertain {
                    var changed = record
                    change(&changed)
                    state.records[id] = changed
                    if changed.follower != nil { state.uncertain.insert(id) }
                }
            }
        }
    }

    /// Counts the records of all shards. For metrics, not for the hot path.
    package func usage() -> Usage {
        var usage = Usage()
        for shard in shards {
            shard.state.withLock { state in
                for record in state.records.values { usage.records[record.state.phase, default: 0] += 1 }
            }
        }
        usage.bytes = shares.usedBytes
        usage.capacityBytes = capacity
        usage.isJournalAvailable = journal?.isAvailable
        usage.journalBytes = journal?.fileBytes ?? 0
        return usage
    }

    /// The lengths of all queues, for tests.
    var queueLengthForTest: Int { shards.reduce(0) { $0 + $1.state.withLock { $0.order.count } } }

    func nextSerial() -> UInt64 { serials.wrappingAdd(1, ordering: .relaxed).oldValue }

    private func shard(of id: IdempotencyRecordID) -> IdempotencyShard { shards[id.spread & (shards.count - 1)] }
}

/// A part of the records, with a lock of its own.
final class IdempotencyShard: Sendable {
    struct State {
        var records: [IdempotencyRecordID: IdempotencyRecord] = [:]
        /// The records whose work began, in that order, with some that are gone.
        private(set) var order = IdempotencyOrder()
        /// The records that wait for news of their lease.
        var uncertain: Set<IdempotencyRecordID> = []
        var nextFullSweep = Instant(nanoseconds: 0)

        /// The record's work has begun, so that it lives until its time is over.
        mutating func add(_ id: IdempotencyRecordID, _ record: IdempotencyRecord) {
            records[id] = record
            order.append(id, record.serial)
            // Requests that end with no record must not fill the queue.
            if order.count > 2 * records.count + 64 { order.removeAll { records[$0.id]?.serial != $0.serial } }
        }

        mutating func removeOldest() { order.removeFirst() }

        /// Seconds until the shard drops its oldest record, 1 to 60: clients do not wait longer.
        func waitForOldest(now: Instant) -> Int {
            guard let end = order.first.flatMap({ records[$0.id]?.expiresAt }), end > now else { return 1 }
            return Int(min(max((end - now).components.seconds, 1), 60))
        }
    }

    let state = Mutex(State())
}

/// A queue that forgets its front in constant time on average.
struct IdempotencyOrder {
    typealias Element = (id: IdempotencyRecordID, serial: UInt64)

    private var elements: [Element] = []
    private var start = 0

    var count: Int { elements.count - start }

    var first: Element? { start < elements.count ? elements[start] : nil }

    mutating func append(_ id: IdempotencyRecordID, _ serial: UInt64) { elements.append((id, serial)) }

    mutating func removeFirst() {
        start += 1
        if start > 64, start * 2 > elements.count {
            elements.removeFirst(start)
            start = 0
        }
    }

    mutating func removeAll(where isGone: (Element) -> Bool) {
        elements.removeFirst(start)
        start = 0
        elements.removeAll(where: isGone)
    }
}
