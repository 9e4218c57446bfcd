internal import Policy
internal import Transport

/// One operation that runs on a connection, or is about to.
struct LeaseEntry: Sendable {
    let serial: UInt64
    let kind: LeaseKind
    /// The API family whose paths show the job.
    let family: RouteFamily
    var state: LeaseState
    var job: LeaseJob?
    let since: Int64
    /// The logical time of the last change. The response to an earlier poll is too old to change the lease.
    var revision: UInt64
    /// An uncertain lease whose work the upstream accepted without naming a job.
    var isAccepted = false
    /// The request that took the lease; reported to callers that the lease refuses.
    var traceID: TraceID?
    /// The response to its request was lost and the job comes from a list, so the job may belong to another request.
    var isGuess = false
    /// The start of its request's path, and the longest time that the request may be at work.
    var origin = LeaseOrigin()
    /// When the request of an uncertain lease was sent; `nil` if an earlier process sent it.
    var sentAt: Instant?
    /// The lease has refused a caller since the last call of ``LeaseTable/polledLeases()``.
    var isAwaited = false
}

/// The leases on one connection: usually one; several if the matrix allows parallel operations.
struct ConnectionLeases: Sendable {
    var entries: [LeaseEntry] = []
    /// Jobs that ended before the response that names them arrived.
    var endedEarly: [String] = []
    /// The last known state of jobs that ran before the response that names them arrived.
    var seenEarly: [LeaseJob] = []
}

/// The leases of one shard, under its lock.
struct LeaseShardState: Sendable {
    var leases: [LeaseKey: ConnectionLeases] = [:]
    private var histories: [LeaseKey: JobDurationHistory] = [:]
    private let maximumHistories: Int
    private let tracker: LeaseTracker

    init(maximumHistories: Int, tracker: LeaseTracker) {
        self.maximumHistories = maximumHistories
        self.tracker = tracker
    }

    /// A lease begins. Returns its position in the journal.
    mutating func add(_ key: LeaseKey, _ lease: LeaseEntry) -> UInt64 {
        leases[key, default: ConnectionLeases()].entries.append(lease)
        return tracker.began(key, lease)
    }

    /// The conflict that refuses an operation, or `nil`. Marks the leases of the connection as awaited.
    mutating func refusal(_ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Int64) -> LeaseConflict? {
        guard let conflict = conflict(key, kind: kind, matrix: matrix, now: now) else { return nil }
        for index in leases[key]?.entries.indices ?? 0..<0 { leases[key]?.entries[index].isAwaited = true }
        return conflict
    }

    func conflict(_ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Int64) -> LeaseConflict? {
        guard let record = leases[key] else { return nil }
        for lease in record.entries where matrix.excludes(kind, lease.kind) {
            return LeaseConflict(
                kind: lease.kind.name, state: lease.state, job: lease.job, heldSince: lease.since,
                retryAfterSeconds: retryAfter(key, lease, now: now), traceID: lease.traceID)
        }
        return nil
    }

    mutating func bind(
        _ key: LeaseKey, serial: UInt64, to job: LeaseJob, isGuess: Bool = false, revision: UInt64, now: Int64
    ) {
        let endedEarly = leases[key]?.endedEarly.contains(job.id) ?? false
        if job.hasEnded || endedEarly {
            recordDuration(key, serial: serial, now: now)
            return remove(key, serial: serial)
        }
        // Another lease may have the same job: one that found it in a list, or an earlier one if the job was started
        // again. Both leases stay, because their kinds exclude different operations, and both end with the job.
        let seen = leases[key]?.seenEarly.last { $0.id == job.id }
        update(key, serial: serial) { lease in
            // The response has the job's first state; a state that was seen since then is newer.
            lease.job = seen ?? job
            lease.state = .held
            lease.isGuess = isGuess
            lease.revision = revision
        }
        if let lease = lease(of: key, serial: serial) { tracker.changed(key, lease) }
    }

    mutating func reconcile(_ key: LeaseKey, running: [LeaseJob], asOf revision: LeaseRevision, now: Int64) {
        for job in running where !hasLease(of: key, jobID: job.id) {
            // The listed job may not belong to a lease that became uncertain after the poll.
            let lost = leases[key]?.entries.first {
                $0.state == .uncertain && $0.kind.lifetime == .job && $0.revision < revision.serial
            }
            if let lost { bind(key, serial: lost.serial, to: job, revision: revision.serial, now: now) }
        }
        for lease in leases[key]?.entries ?? [] where lease.revision < revision.serial {
            switch lease.state {
            case .reserved: break
            case .uncertain: remove(key, serial: lease.serial)
            case .held, .draining:
                guard let id = lease.job?.id, !running.contains(where: { $0.id == id }) else { break }
                endLeases(of: key, jobID: id, revisedBefore: revision.serial, now: now)
            }
        }
    }

    mutating func jobEnded(_ key: LeaseKey, jobID: String, now: Int64) {
        if hasLease(of: key, jobID: jobID) {
            return endLeases(of: key, jobID: jobID, revisedBefore: .max, now: now)
        }
        guard var record = leases[key] else { return }
        guard record.entries.contains(where: { $0.job == nil }), !record.endedEarly.contains(jobID) else { return }
        // One request starts one job, so few ends can arrive before their responses.
        if record.endedEarly.count == 16 { record.endedEarly.removeFirst() }
        record.endedEarly.append(jobID)
        leases[key] = record
    }

    /// Ends the leases that had this job before the logical time `serial`.
    mutating func endLeases(of key: LeaseKey, jobID: String, revisedBefore serial: UInt64, now: Int64) {
        for lease in leases[key]?.entries ?? [] where lease.job?.id == jobID && lease.revision < serial {
            end(key, lease, asOf: serial, now: now)
        }
    }

    /// The job of a lease has ended, according to the response to a poll made at `serial`.
    ///
    /// A guessed job may belong to another request. Its end does not free the lease, which becomes uncertain again.
    mutating func end(_ key: LeaseKey, _ lease: LeaseEntry, asOf serial: UInt64, now: Int64) {
        guard lease.isGuess else {
            recordDuration(key, since: lease.since, now: now)
            return remove(key, serial: lease.serial)
        }
        update(key, serial: lease.serial) { lease in
            lease.state = .uncertain
            lease.job = nil
            lease.isGuess = false
            // `.max`: the end was not learned from a poll, so no poll can be too old.
            if serial < .max { lease.revision = max(lease.revision, serial) }
        }
        if let lease = self.lease(of: key, serial: lease.serial) { tracker.changed(key, lease) }
    }

    /// A job was seen running. Updates the lease that has the job; if none has it, keeps the state for the lease that
    /// gets it.
    mutating func jobSeen(_ key: LeaseKey, _ job: LeaseJob) {
        if updateLeases(of: key, jobID: job.id, { $0.job = job }) { return }
        guard var record = leases[key], record.entries.contains(where: { $0.job == nil }) else { return }
        if record.seenEarly.count == 16 { record.seenEarly.removeFirst() }
        record.seenEarly.append(job)
        leases[key] = record
    }

    func hasLease(of key: LeaseKey, jobID: String) -> Bool {
        leases[key]?.entries.contains { $0.job?.id == jobID } ?? false
    }

    /// Whether a lease has this job, and its job is not a guess.
    func hasSureLease(of key: LeaseKey, jobID: String) -> Bool {
        leases[key]?.entries.contains { $0.job?.id == jobID && !$0.isGuess } ?? false
    }

    /// Changes the leases that have this job. Returns `false` if there is none.
    mutating func updateLeases(of key: LeaseKey, jobID: String, _ change: (inout LeaseEntry) -> Void) -> Bool {
        var isFound = false
        for index in leases[key]?.entries.indices ?? 0..<0 where leases[key]?.entries[index].job?.id == jobID {
            change(&leases[key, default: ConnectionLeases()].entries[index])
            isFound = true
        }
        return isFound
    }

    mutating func update(_ key: LeaseKey, serial: UInt64, _ change: (inout LeaseEntry) -> Void) {
        guard let index = leases[key]?.entries.firstIndex(where: { $0.serial == serial }) else { return }
        change(&leases[key, default: ConnectionLeases()].entries[index])
    }

    mutating func remove(_ key: LeaseKey, serial: UInt64) {
        guard let index = leases[key]?.entries.firstIndex(where: { $0.serial == serial }),
            let lease = leases[key]?.entries.remove(at: index)
        else { return }
        if leases[key]?.entries.isEmpty ?? false { leases[key] = nil }
        tracker.ended(lease)
    }

    func lease(of key: LeaseKey, serial: UInt64) -> LeaseEntry? {
        leases[key]?.entries.first { $0.serial == serial }
    }

    private mutating func recordDuration(_ key: LeaseKey, serial: UInt64, now: Int64) {
        guard let lease = lease(of: key, serial: serial) else { return }
        recordDuration(key, since: lease.since, now: now)
    }

    private mutating func recordDuration(_ key: LeaseKey, since: Int64, now: Int64) {
        if histories.count >= maximumHistories, histories[key] == nil, let any = histories.first {
            histories[any.key] = nil
        }
        histories[key, default: JobDurationHistory()].append(now - since)
    }

    /// The typical duration of this connection's jobs less the age of the running one; 3 s if no duration is known.
    private func retryAfter(_ key: LeaseKey, _ lease: LeaseEntry, now: Int64) -> Int {
        guard lease.kind.lifetime == .job else { return 1 }
        let remaining = histories[key]?.remaining(age: now - lease.since) ?? 3000
        return Int(min(max((remaining + 999) / 1000, 1), 60))
    }
}

extension ConcurrencyMatrix {
    /// Whether the two kinds exclude each other. Exclusion is mutual, whichever of the two kinds lists the other.
    ///
    /// `running` may come from an older policy set, so it is looked up by name, not by index. A kind that no longer
    /// exists excludes everything.
    fileprivate func excludes(_ asked: LeaseKind, _ running: LeaseKind) -> Bool {
        guard let known = current(running) else { return true }
        return conflict(of: asked, with: known) || conflict(of: known, with: asked)
    }

    private func current(_ kind: LeaseKind) -> LeaseKind? {
        if kinds.indices.contains(kind.index), kinds[kind.index].name == kind.name { return kinds[kind.index] }
        return self.kind(named: kind.name)
    }
}
