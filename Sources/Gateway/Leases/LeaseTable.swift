package import Policy
internal import Synchronization
internal import Transport

/// Who runs what on which connection, for all workers: at most one of any two operations the matrix excludes.
///
/// Times are milliseconds since the epoch, passed in. A connection without a lease takes no memory but, for a bounded number
/// of connections, the durations of its last jobs.
package final class LeaseTable: Sendable {
    /// How many leases there are in each state, for metrics.
    package struct Usage: Equatable, Sendable {
        package var reserved = 0
        package var held = 0
        package var draining = 0
        package var uncertain = 0
    }

    let shards: [LeaseShard]
    private let serials = Atomic<UInt64>(1)
    private let recorder: LeaseRecorder

    /// With a journal, leases of jobs outlive the process.
    package init(shardCount: Int = 64, maximumHistories: Int = 65_536, journal: LeaseJournal? = nil) {
        precondition(shardCount > 0 && shardCount & (shardCount - 1) == 0, "the shard count is a power of two")
        let recorder = LeaseRecorder(journal: journal)
        self.recorder = recorder
        shards = (0..<shardCount).map { _ in
            LeaseShard(maximumHistories: max(1, maximumHistories / shardCount), recorder: recorder)
        }
    }

    /// Whether there are leases that last for their request only, and whose lost request may still be at work.
    var hasLingering: Bool { recorder.hasLingering }

    /// Whether no job holds anything. Costs one load.
    package var isEmpty: Bool { recorder.isEmpty }

    /// Asks for the right to run an operation of `kind`. Of parallel callers that exclude each other exactly one gets it.
    /// `family` is whose API the operation belongs to, and so whom to ask for its job.
    package func reserve(
        _ key: LeaseKey, kind: LeaseKind, family: RouteFamily = .other, from origin: LeaseOrigin = LeaseOrigin(),
        matrix: ConcurrencyMatrix, now: Int64, traceID: TraceID? = nil
    ) throws(LeaseConflict) -> Lease {
        let serial = nextSerial()
        let (conflict, position) = shard(of: key).records.withLock { records -> (LeaseConflict?, UInt64) in
            if let conflict = records.refusal(key, kind: kind, matrix: matrix, now: now) { return (conflict, 0) }
            let holder = LeaseEntry(
                serial: serial, kind: kind, family: family, state: .reserved, job: nil, since: now, settledAt: serial,
                traceID: traceID, origin: origin)
            return (nil, records.add(key, holder))
        }
        if let conflict { throw conflict }
        return Lease(key: key, table: self, serial: serial, lifetime: kind.lifetime, position: position)
    }

    /// Suspends until the journal has what is at `position`.
    func secure(_ position: UInt64) async throws(LeaseJournal.Unavailable) {
        try await recorder.journal?.durable(position)
    }

    /// A job has ended, by whatever sign. The sign may come before the answer that names the job: it is remembered until then.
    package func jobEnded(_ key: LeaseKey, jobID: String, now: Int64) {
        shard(of: key).records.withLock { $0.jobEnded(key, jobID: jobID, now: now) }
    }

    /// The upstream accepted to cancel a job, which runs until it has ended.
    package func cancelAccepted(_ key: LeaseKey, jobID: String) {
        shard(of: key).records.withLock { records in
            _ = records.updateHolders(of: key, jobID: jobID) { $0.state = .draining }
        }
    }

    /// A job object passed through. It changes only a lease that has this job: the object may be older than the job's end,
    /// so it proves nothing about any other.
    package func jobObserved(_ key: LeaseKey, _ job: LeaseJob, now: Int64) {
        shard(of: key).records.withLock { records in
            if job.hasEnded { return records.jobEnded(key, jobID: job.id, now: now) }
            records.jobSeen(key, job)
        }
    }

    /// A logical timestamp. Take it before the upstream is polled, and hand it over with the response.
    ///
    /// Not a clock: steps of the system's time must not make an old answer look new.
    package func moment() -> LeaseMoment {
        LeaseMoment(serial: nextSerial())
    }

    /// The upstream was asked, at `moment`, for all the jobs that run. Leases that were uncertain by then become held or free;
    /// leases held by then whose job does not run any more become free, for the sign of its end was lost.
    package func reconcile(running: [RunningJob], askedAt moment: LeaseMoment, now: Int64) {
        var jobs: [LeaseKey: [LeaseJob]] = [:]
        for job in running where !job.job.hasEnded { jobs[job.key, default: []].append(job.job) }
        for shard in shards {
            shard.records.withLock { records in
                // The keys are copied: settling removes entries.
                for key in Array(records.leases.keys) {
                    records.reconcile(key, running: jobs[key] ?? [], askedAt: moment, now: now)
                }
            }
        }
    }

    /// Takes over a job that runs already: after a restart, before the first request.
    package func rebuild(_ key: LeaseKey, kind: LeaseKind, job: LeaseJob, now: Int64) {
        let serial = nextSerial()
        shard(of: key).records.withLock { records in
            guard !job.hasEnded, !records.hasHolder(of: key, jobID: job.id) else { return }
            let since = min(job.startedAt ?? now, now)
            let holder = LeaseEntry(
                serial: serial, kind: kind, family: .other, state: .held, job: job, since: since, settledAt: serial)
            _ = records.add(key, holder)
        }
    }

    /// What stands in the way of an operation now; changes nothing.
    package func conflict(
        _ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Int64
    ) -> LeaseConflict? {
        shard(of: key).records.withLock { $0.conflict(key, kind: kind, matrix: matrix, now: now) }
    }

    /// Walks the shards for metrics; not for the hot path.
    package func usage() -> Usage {
        var usage = Usage()
        for shard in shards {
            shard.records.withLock { records in
                for holder in records.leases.values.flatMap(\.holders) {
                    switch holder.state {
                    case .reserved: usage.reserved += 1
                    case .held: usage.held += 1
                    case .draining: usage.draining += 1
                    case .uncertain: usage.uncertain += 1
                    }
                }
            }
        }
        return usage
    }

    /// What a lease becomes when its owner is done with it.
    enum Settlement { case free, uncertain, accepted }

    func settle(_ key: LeaseKey, _ serial: UInt64, as settlement: Settlement, sentAt: Instant? = nil) {
        let settledAt = nextSerial()
        shard(of: key).records.withLock { records in
            switch settlement {
            case .free: records.remove(key, serial: serial)
            case .uncertain, .accepted:
                records.update(key, serial: serial) { holder in
                    holder.state = .uncertain
                    holder.sentAt = sentAt
                    holder.isAccepted = settlement == .accepted
                    holder.settledAt = settledAt
                }
                if let holder = records.holder(of: key, serial: serial) { recorder.lingers(holder) }
            }
        }
    }

    func bind(_ key: LeaseKey, _ serial: UInt64, _ job: LeaseJob, now: Int64) {
        let settledAt = nextSerial()
        shard(of: key).records.withLock { $0.bind(key, serial: serial, to: job, settledAt: settledAt, now: now) }
    }

    func nextSerial() -> UInt64 { serials.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue }

    func shard(of key: LeaseKey) -> LeaseShard {
        shards[key.hashValue & (shards.count - 1)]
    }
}

/// A point in the order of what happened to leases.
package struct LeaseMoment: Sendable {
    let serial: UInt64
}

/// A part of the leases, with a lock of its own.
final class LeaseShard: Sendable {
    let records: Mutex<LeaseShardState>

    init(maximumHistories: Int, recorder: LeaseRecorder) {
        records = Mutex(LeaseShardState(maximumHistories: maximumHistories, recorder: recorder))
    }
}
