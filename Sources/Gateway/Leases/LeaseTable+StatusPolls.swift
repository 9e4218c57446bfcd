internal import Policy
internal import Synchronization
internal import Transport

/// A lease for which the upstream must be polled.
struct PolledLease: Equatable, Sendable {
    let serial: UInt64
    let key: LeaseKey
    let kind: String
    let family: RouteFamily
    let state: LeaseState
    let job: LeaseJob?
    /// Milliseconds since the epoch.
    let since: Int64
    /// See ``LeaseEntry``.
    let isAccepted: Bool
    var origin = LeaseOrigin()
    var sentAt: Instant?
    var isAwaited = false
    /// Whether the lease lasts for a job, which can be polled, or only for its request.
    var lifetime = LeaseKind.Lifetime.job

    /// Whether its job can appear in a list of all jobs of an organization. Airweave only lists the jobs of one connection.
    var isListed: Bool { job != nil && family != .airweave }
}

// Changes that follow from responses of a remote upstream. A response describes the state at the time of its poll, so
// leases that changed after the poll stay as they are.
extension LeaseTable {
    /// The leases whose job runs or may run, in no order. Reservations are left out: their response is still to come.
    /// Clears ``LeaseEntry/isAwaited``.
    func polledLeases() -> [PolledLease] {
        var polledLeases: [PolledLease] = []
        for shard in shards {
            shard.records.withLock { records in
                for (key, record) in records.leases {
                    for (index, lease) in record.entries.enumerated() where lease.state != .reserved {
                        polledLeases.append(
                            PolledLease(
                                serial: lease.serial, key: key, kind: lease.kind.name, family: lease.family,
                                state: lease.state, job: lease.job, since: lease.since,
                                isAccepted: lease.isAccepted, origin: lease.origin, sentAt: lease.sentAt,
                                isAwaited: lease.isAwaited, lifetime: lease.kind.lifetime))
                        if lease.isAwaited { records.leases[key]?.entries[index].isAwaited = false }
                    }
                }
            }
        }
        return polledLeases
    }

    /// Frees an uncertain lease that lasts only for its request, which cannot be at work any more.
    func endRequest(_ key: LeaseKey, _ serial: UInt64) {
        shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial), lease.state == .uncertain,
                lease.kind.lifetime == .request
            else { return }
            records.remove(key, serial: serial)
        }
    }

    /// The connection of `organization` that a lease with this job is on. Costs as much as the organization has jobs, whatever others
    /// have.
    func connection(ofJob jobID: String, organization: String) -> String? {
        tracker.running.leases(of: organization).first { serial, key in
            shard(of: key).records.withLock { $0.lease(of: key, serial: serial)?.job?.id == jobID }
        }?.key.connection
    }

    /// A poll at `revision` showed a job. Ends or updates the leases that have the job; adds no lease. Only the status
    /// and the start of `job` are taken over.
    func jobShown(_ key: LeaseKey, _ job: LeaseJob, asOf revision: LeaseRevision, now: Moment) {
        shard(of: key).records.withLock { records in
            // The same job may have been started again for another lease: an older response says nothing about that run.
            if let evidence = EndEvidence(job) {
                return records.endLeases(
                    of: key, jobID: job.id, revisedBefore: revision.serial, by: evidence, now: now)
            }
            var revived: [LeaseEntry] = []
            _ = records.updateLeases(of: key, jobID: job.id) { lease in
                guard let known = lease.job, lease.revision < revision.serial else { return }
                lease.job = LeaseJob(
                    id: known.id, type: known.type, status: job.status, startedAt: job.startedAt ?? known.startedAt,
                    createdAt: job.createdAt ?? known.createdAt, location: known.location,
                    phase: job.phase)
                // The upstream had called the job over, and shows it at work again.
                if lease.state == .settling {
                    lease.state = .held
                    lease.settlesUntil = nil
                    revived.append(lease)
                }
            }
            for lease in revived { records.leaseChanged(key, lease) }
        }
    }

    /// The poll at `revision`, like an earlier one, did not find the job: the job has ended.
    func jobVanished(_ key: LeaseKey, _ serial: UInt64, asOf revision: LeaseRevision, now: Moment) {
        shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial),
                lease.state == .held || lease.state == .draining,
                lease.revision < revision.serial
            else { return }
            records.end(key, lease, asOf: revision.serial, by: .absent, now: now)
        }
    }

    /// What became of an uncertain lease after a poll.
    enum Resolution: Equatable {
        case held, freed
        /// No job runs, but it is too early to free the lease.
        case idle
        /// Jobs run, and it is unclear which of them belongs to the lease; or the lease is no longer uncertain.
        case open
    }

    /// A poll at `revision` listed the jobs of the connection. If one runs, the uncertain lease is bound to it; the
    /// binding is a guess, see ``LeaseEntry/isGuess``. If none runs and `mayFree` is true, the lease is freed.
    ///
    /// The lease stays as it is if several jobs run, if another lease has the running job for sure, or if another lease
    /// of the connection has no job yet.
    func resolve(
        _ key: LeaseKey, _ serial: UInt64, jobs: [LeaseJob], mayFree: Bool, asOf revision: LeaseRevision, now: Moment
    ) -> Resolution {
        let bound = nextSerial()
        return shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial), lease.state == .uncertain,
                lease.kind.lifetime == .job, lease.revision < revision.serial
            else { return .open }
            let running = jobs.filter { !$0.hasEnded }
            let others = records.leases[key]?.entries.filter { $0.serial != serial && $0.kind.lifetime == .job } ?? []
            let isAlone = others.allSatisfy { $0.job != nil }
            // A job that another lease has only as a guess may belong to this lease.
            let candidates = running.filter { !records.hasSureLease(of: key, jobID: $0.id) }
            guard let job = candidates.first else {
                // The request of this lease may have restarted a job that another lease has for sure.
                guard running.isEmpty else { return .open }
                guard mayFree, lease.settlesUntil.map({ $0 <= now.instant }) ?? true else { return .idle }
                let ended = records.endedJobs(jobs, of: lease, on: key)
                let outcome = records.outcome(of: lease, on: key, ended, isAlone: isAlone, jobs)
                // A job that is the lease's own is nobody else's, whenever that lease began.
                let isOwn = outcome != .unknown
                records.jobsAreOver(ended, on: key, since: isOwn ? Instant(nanoseconds: 0) : now.instant)
                if let cancelled = ended.first(where: { $0.phase == .cancelled }), lease.settlesUntil == nil,
                    lease.kind.settleTime > .zero
                {
                    records.settle(key, lease, with: cancelled, leaving: outcome, asOf: revision.serial, now: now)
                    return .open
                }
                records.remove(key, serial: serial, leaving: outcome)
                return .freed
            }
            guard candidates.count == 1, isAlone else { return .open }
            records.bind(key, serial: serial, to: job, isGuess: true, revision: bound, now: now)
            return .held
        }
    }
}

extension LeaseShardState {
    /// The jobs of a list without a running job that may be this lease's.
    fileprivate func endedJobs(_ jobs: [LeaseJob], of lease: LeaseEntry, on key: LeaseKey) -> [LeaseJob] {
        jobs.filter { job in
            !lease.isYounger(than: job) && !hasSureLease(of: key, jobID: job.id)
                && (lease.origin.mayRestart || !wasOver(job, on: key, before: lease))
        }
    }

    /// What became of a lease whose response was lost, according to a list in which these `ended` jobs may be its own.
    ///
    /// Whoever waits must not take such a job for nothing. It is the job only if it is the only one, and can be nobody else's.
    fileprivate func outcome(
        of lease: LeaseEntry, on key: LeaseKey, _ ended: [LeaseJob], isAlone: Bool, _ jobs: [LeaseJob]
    ) -> LeaseWaiter.Outcome {
        guard let job = ended.first else {
            // A job that is started again keeps its old start in some upstreams.
            let mayBeOld = lease.origin.mayRestart && !jobs.isEmpty
            return lease.hadGuess || mayBeOld ? .unknown : .nothing
        }
        // Its type need not be the kind, because a client can ask one route for several types of work.
        guard ended.count == 1, isAlone, let began = job.beganAt, job.type.spells(lease.kind.name),
            !isOver(job, on: key),
            // What ran before the lease, as far as the clocks differ, must be remembered.
            began >= lease.since || lease.since - LeaseEntry.clockTolerance >= remembersFrom
        else { return .unknown }
        return .job(job)
    }

    /// The list of a poll shows no running job, but a cancelled one that may be this lease's: its work may go on.
    fileprivate mutating func settle(
        _ key: LeaseKey, _ lease: LeaseEntry, with job: LeaseJob, leaving outcome: LeaseWaiter.Outcome,
        asOf serial: UInt64, now: Moment
    ) {
        recordEnd(key, lease, now: now)
        for waiter in lease.waiters { waiter.end(outcome) }
        update(key, serial: lease.serial) { lease in
            lease.waiters = []
            lease.job = job
            lease.isGuess = outcome != .job(job)
            lease.hadGuess = lease.hadGuess || lease.isGuess
            lease.state = .settling
            lease.settlesUntil = now.instant + lease.kind.settleTime
            lease.revision = max(lease.revision, serial)
        }
        if let lease = self.lease(of: key, serial: lease.serial) { leaseChanged(key, lease) }
    }
}
