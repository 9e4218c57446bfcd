package import Policy
internal import Synchronization
package import Transport

/// The leases of all connections, shared by all workers. Of any two operations that the matrix excludes, at most one
/// has a lease on a connection.
///
/// Callers pass times in, as milliseconds since the epoch. A connection without a lease takes no memory, except that the
/// table keeps the last job durations of a bounded number of connections.
package final class LeaseTable: Sendable {
    /// The number of leases in each state, and of requests that wait for a connection, for metrics.
    package struct Usage: Equatable, Sendable {
        package var reserved = 0
        package var held = 0
        package var draining = 0
        package var uncertain = 0
        package var settling = 0
        package var waiting = 0

        fileprivate mutating func count(_ state: LeaseState) {
            switch state {
            case .reserved: reserved += 1
            case .held: held += 1
            case .draining: draining += 1
            case .uncertain: uncertain += 1
            case .settling: settling += 1
            }
        }
    }

    let shards: [LeaseShard]
    private let serials = Atomic<UInt64>(1)
    let tracker: LeaseTracker

    /// With a journal, leases of jobs survive the process.
    package init(shardCount: Int = 64, maximumHistories: Int = 65_536, journal: LeaseJournal? = nil) {
        precondition(shardCount > 0 && shardCount & (shardCount - 1) == 0, "the shard count is a power of two")
        let tracker = LeaseTracker(journal: journal)
        self.tracker = tracker
        shards = (0..<shardCount).map { _ in
            LeaseShard(maximumHistories: max(1, maximumHistories / shardCount), tracker: tracker)
        }
    }

    /// Whether there are uncertain leases that last only for their request. Such a request may still be at work.
    var hasUncertainRequests: Bool { tracker.hasUncertainRequests }

    /// Whether no lease lasts for a job. Costs one load.
    package var isEmpty: Bool { tracker.isEmpty }

    /// Decides a claim. Of parallel claims that exclude each other exactly one is granted.
    ///
    /// `charge` charges the limits of the work, and returns whether they admit it. It is called under the lock of the connection,
    /// and only if the lease is free, so lease and charge are taken together or not at all.
    /// With a `place` the claim waits there for its turn; decide it again whenever the place's waiter is woken.
    /// A request of `loop` can wait for the job of another one.
    package func decide(
        _ claim: LeaseClaim, at place: QueuePlace? = nil, now: Moment, on loop: EventLoop? = nil,
        charge: () -> Bool = { true }
    ) -> LeaseDecision {
        let serial = nextSerial()
        let (decision, position) = shard(of: claim.key).records.withLock {
            $0.decide(
                claim, at: place, serial: serial, now: now, waiter: { loop.map(LeaseWaiter.init) }, charge: charge)
        }
        switch decision {
        case .granted(let generation):
            return .granted(
                Lease(
                    key: claim.key, table: self, serial: serial, generation: generation, lifetime: claim.kind.lifetime,
                    position: position))
        case .notCharged: return .notCharged
        case .capped(let cap): return .capped(cap)
        case .conflict(let conflict): return .conflict(conflict)
        case .queued(let conflict): return .queued(conflict)
        case .shared(let shared): return .shared(shared)
        }
    }

    /// `waiter` gives up. Returns the outcome if it came first.
    func stopWaiting(_ waiter: LeaseWaiter, for shared: SharedLease, on key: LeaseKey) -> LeaseWaiter.Outcome? {
        shard(of: key).records.withLock { $0.stopWaiting(waiter, for: shared.serial, of: key) }
        return waiter.current
    }

    /// A new place for a request of `loop`; no queue has it yet.
    func place(on key: LeaseKey, for loop: EventLoop) -> QueuePlace {
        QueuePlace(id: nextSerial(), key: key, table: self, loop: loop)
    }

    func leaveQueue(_ id: UInt64, of key: LeaseKey) {
        shard(of: key).records.withLock { $0.leaveQueue(id, of: key) }
    }

    /// Removes the leases whose settle time is over. Call it about once a second, so that they take no memory.
    func removeSettled(now: Instant) {
        guard !isEmpty else { return }
        for shard in shards {
            shard.records.withLock { records in
                let keys = records.leases.filter { $1.entries.contains { $0.hasSettled(at: now) } }.map(\.key)
                for key in keys { records.removeSettled(key, now: now) }
            }
        }
    }

    /// Suspends until the journal has written the change at `position`.
    func waitUntilDurable(_ position: UInt64) async throws(LeaseJournal.Unavailable) {
        try await tracker.journal?.durable(position)
    }

    /// A job has ended. If the response that names the job has not arrived yet, the table remembers the end until then.
    package func jobEnded(_ key: LeaseKey, jobID: String, now: Moment) {
        shard(of: key).records.withLock { $0.jobEnded(key, jobID: jobID, now: now) }
    }

    /// The upstream accepted the cancellation of a job. The job runs until it has ended.
    package func cancelAccepted(_ key: LeaseKey, jobID: String) {
        shard(of: key).records.withLock { records in
            var changed: [LeaseEntry] = []
            _ = records.updateLeases(of: key, jobID: jobID) { lease in
                // A job that settles is over already, as far as the upstream says.
                guard lease.state == .held else { return }
                lease.state = .draining
                changed.append(lease)
            }
            for lease in changed { records.leaseChanged(key, lease) }
        }
    }

    /// A response or event showed a job. This changes only leases that have the job: the object may be older than the
    /// job's end, so it proves nothing about other leases.
    package func jobObserved(_ key: LeaseKey, _ job: LeaseJob, now: Moment) {
        shard(of: key).records.withLock { records in
            if job.hasEnded { return records.jobEnded(key, jobID: job.id, now: now) }
            records.jobSeen(key, job)
        }
    }

    /// A new logical timestamp. Take it before the upstream is polled, and pass it on with the response.
    ///
    /// It is not a clock: a step of the system's time must not make an old response look new.
    package func revision() -> LeaseRevision {
        LeaseRevision(serial: nextSerial())
    }

    /// A poll at `revision` listed all running jobs. Leases that were uncertain at `revision` become held or free. Held
    /// leases whose job is not in the list become free, because the event of the job's end was lost.
    package func reconcile(running: [RunningJob], asOf revision: LeaseRevision, now: Moment) {
        var jobs: [LeaseKey: [LeaseJob]] = [:]
        for job in running where !job.job.hasEnded { jobs[job.key, default: []].append(job.job) }
        for shard in shards {
            shard.records.withLock { records in
                // A copy of the keys, because `reconcile` removes entries.
                for key in Array(records.leases.keys) {
                    records.reconcile(key, running: jobs[key] ?? [], asOf: revision, now: now)
                }
            }
        }
    }

    /// Adds a lease for a job that already runs. Used after a restart, before the first request.
    package func rebuild(_ key: LeaseKey, kind: LeaseKind, job: LeaseJob, now: Moment) {
        let serial = nextSerial()
        shard(of: key).records.withLock { records in
            guard !job.hasEnded, !records.hasLease(of: key, jobID: job.id) else { return }
            let since = min(job.startedAt ?? now.epochMilliseconds, now.epochMilliseconds)
            let lease = LeaseEntry(
                serial: serial, generation: records.nextGeneration(now), kind: kind, family: .other, state: .held,
                job: job,
                since: since, revision: serial, beganAt: now.instant)
            _ = tracker.running.begin(serial, on: key, of: nil)
            _ = records.add(key, lease)
        }
    }

    /// The conflict that an operation would have now, or `nil`. Changes nothing.
    package func conflict(
        _ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Moment
    ) -> LeaseConflict? {
        shard(of: key).records.withLock { $0.conflict(key, kind: kind, matrix: matrix, now: now) }
    }

    /// The conflict that a claim would have now, or `nil`. Changes nothing.
    func conflict(of claim: LeaseClaim, now: Moment) -> LeaseConflict? {
        shard(of: claim.key).records.withLock {
            $0.conflict(claim.key, kind: claim.kind, matrix: claim.matrix, shownTo: claim.owner, now: now)
        }
    }

    /// The refusal by `cap`, with some of the jobs that run.
    func refusal(by cap: JobCap, _ claim: LeaseClaim, now: Moment) -> JobCapRefusal {
        let leases = tracker.running.leases(
            of: claim.key.organization, cap.scope, claim.owner?.token, limit: JobCapRefusal.maxShown)
        let running = leases.compactMap { serial, key in
            shard(of: key).records.withLock { records in
                records.lease(of: key, serial: serial).map {
                    records.conflict(of: $0, on: key, shownTo: claim.owner, now: now)
                }
            }.map { JobCapRefusal.Running(connection: key.connection, lease: $0) }
        }
        return JobCapRefusal(cap: cap, running: running)
    }

    /// Counts the leases of all shards. For metrics, not for the hot path.
    package func usage() -> Usage {
        var usage = Usage()
        for shard in shards {
            shard.records.withLock { records in
                for record in records.leases.values {
                    usage.waiting += record.queue.count
                    for lease in record.entries { usage.count(lease.state) }
                }
            }
        }
        return usage
    }

    /// The state of a lease after its owner has finished with it.
    enum Conclusion { case free, uncertain, accepted }

    func conclude(_ key: LeaseKey, _ serial: UInt64, as conclusion: Conclusion, sentAt: Instant? = nil) {
        let revision = nextSerial()
        shard(of: key).records.withLock { records in
            switch conclusion {
            case .free: records.remove(key, serial: serial)
            case .uncertain, .accepted:
                records.update(key, serial: serial) { lease in
                    lease.state = .uncertain
                    lease.sentAt = sentAt
                    lease.isAccepted = conclusion == .accepted
                    lease.revision = revision
                }
                if let lease = records.lease(of: key, serial: serial) { tracker.becameUncertain(lease) }
            }
        }
    }

    func bind(_ key: LeaseKey, _ serial: UInt64, _ job: LeaseJob, now: Moment) {
        let revision = nextSerial()
        shard(of: key).records.withLock { $0.bind(key, serial: serial, to: job, revision: revision, now: now) }
    }

    func adopt(_ key: LeaseKey, _ serial: UInt64, _ job: LeaseJob, now: Moment) -> LeaseConflict {
        let revision = nextSerial()
        return shard(of: key).records.withLock {
            $0.adopt(key, serial: serial, job, revision: revision, now: now)
        }
    }

    /// Whether a lease has this job.
    func hasLease(_ key: LeaseKey, jobID: String) -> Bool {
        shard(of: key).records.withLock { $0.hasLease(of: key, jobID: jobID) }
    }

    /// Whether a job of the connection has ended within the last `time`, as far as the table remembers.
    func hasEnded(_ key: LeaseKey, within time: Duration, now: Instant) -> Bool {
        shard(of: key).records.withLock { $0.lastEnd(key).map { now < $0 + time } ?? false }
    }

    func nextSerial() -> UInt64 { serials.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue }

    /// An earlier process gave generations up to `generation`, and its leases that are gone are not known. Before the first request.
    func continues(after generation: UInt64, now: Moment) {
        tracker.skipGenerations(upTo: generation)
        for shard in shards {
            shard.records.withLock { records in
                records.skipGenerations(upTo: generation)
                records.remembers(from: now)
            }
        }
    }

    func shard(of key: LeaseKey) -> LeaseShard {
        shards[key.part(of: shards.count)]
    }
}

/// A point in the order of all changes to leases.
package struct LeaseRevision: Sendable {
    let serial: UInt64
}

/// A part of the leases, with a lock of its own.
final class LeaseShard: Sendable {
    let records: Mutex<LeaseShardState>

    init(maximumHistories: Int, tracker: LeaseTracker) {
        records = Mutex(LeaseShardState(maximumHistories: maximumHistories, tracker: tracker))
    }
}
