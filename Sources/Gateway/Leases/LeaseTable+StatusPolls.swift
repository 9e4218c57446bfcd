internal import Policy
internal import Synchronization
internal import Transport

/// A lease that the upstream has to be asked about.
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
    /// Whether it lasts for a job, which can be asked about, or for its request only.
    var lifetime = LeaseKind.Lifetime.job

    /// Whether its job may be in a list of all jobs of its organization. Airweave only has lists of one connection's jobs.
    var isListed: Bool { job != nil && family != .airweave }
}

// What a remote upstream's responses change. A response describes the state at the time of its poll: leases that changed since
// then are left alone.
extension LeaseTable {
    /// The leases whose job runs or may run, in no order; not reservations, whose answer is on its way. Clears
    /// ``LeaseEntry/isAwaited``.
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

    /// Frees an uncertain lease that lasts for its request only: the request cannot be at work any more.
    func endRequest(_ key: LeaseKey, _ serial: UInt64) {
        shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial), lease.state == .uncertain,
                lease.kind.lifetime == .request
            else { return }
            records.remove(key, serial: serial)
        }
    }

    /// The connection of an organization whose lease is held by this job.
    func connection(ofJob jobID: String, organization: String) -> String? {
        for shard in shards {
            let found = shard.records.withLock { records in
                records.leases.first { key, record in
                    key.organization == organization && record.entries.contains { $0.job?.id == jobID }
                }?.key.connection
            }
            if let found { return found }
        }
        return nil
    }

    /// The upstream was asked, at `revision`, and showed a job. Ends or updates the lease that has the job; makes none. Of
    /// `job` only the status and the start are taken over.
    func jobShown(_ key: LeaseKey, _ job: LeaseJob, asOf revision: LeaseRevision, now: Int64) {
        shard(of: key).records.withLock { records in
            // The same job may run again, for another lease: an answer from before says nothing about now.
            if job.hasEnded {
                return records.endLeases(of: key, jobID: job.id, revisedBefore: revision.serial, now: now)
            }
            _ = records.updateLeases(of: key, jobID: job.id) { lease in
                guard let known = lease.job, lease.revision < revision.serial else { return }
                lease.job = LeaseJob(
                    id: known.id, type: known.type, status: job.status, startedAt: job.startedAt ?? known.startedAt,
                    location: known.location)
            }
        }
    }

    /// The upstream did not know the job at `revision`, nor when it was asked before: the job is over.
    func jobVanished(_ key: LeaseKey, _ serial: UInt64, asOf revision: LeaseRevision, now: Int64) {
        shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial),
                lease.state == .held || lease.state == .draining,
                lease.revision < revision.serial
            else { return }
            records.end(key, lease, asOf: revision.serial, now: now)
        }
    }

    /// What became of an uncertain lease.
    enum Resolution: Equatable {
        case held, freed
        /// No job runs, but it is too early to believe that.
        case idle
        /// Jobs run, and it is open which of them is the lease's; or the lease is not uncertain any more.
        case open
    }

    /// The upstream was asked, at `revision`, for all jobs of the connection. If one runs, the uncertain lease is bound to it;
    /// that the job is the lease's own is a guess, see ``LeaseEntry/isGuess``. If none runs and `mayFree`, the lease is
    /// freed.
    ///
    /// The lease stays as it is while several jobs run, while another lease surely has the one that runs, or while another
    /// lease of the connection does not know its job yet.
    func resolve(
        _ key: LeaseKey, _ serial: UInt64, jobs: [LeaseJob], mayFree: Bool, asOf revision: LeaseRevision, now: Int64
    ) -> Resolution {
        let bound = nextSerial()
        return shard(of: key).records.withLock { records in
            guard let lease = records.lease(of: key, serial: serial), lease.state == .uncertain,
                lease.kind.lifetime == .job, lease.revision < revision.serial
            else { return .open }
            let running = jobs.filter { !$0.hasEnded }
            // A job that another lease only guesses to have may be this one's.
            let candidates = running.filter { !records.hasSureLease(of: key, jobID: $0.id) }
            guard let job = candidates.first else {
                // A job that another lease surely has may have been started again for this one.
                guard running.isEmpty else { return .open }
                guard mayFree else { return .idle }
                records.remove(key, serial: serial)
                return .freed
            }
            let others = records.leases[key]?.entries.filter { $0.serial != serial && $0.kind.lifetime == .job } ?? []
            let isAlone = others.allSatisfy { $0.job != nil }
            guard candidates.count == 1, isAlone else { return .open }
            records.bind(key, serial: serial, to: job, isGuess: true, revision: bound, now: now)
            return .held
        }
    }
}
