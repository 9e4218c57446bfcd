internal import Policy
internal import Transport

/// One operation that runs, or is about to, on a connection.
struct LeaseEntry: Sendable {
    let serial: UInt64
    let kind: LeaseKind
    /// Whose API knows the job.
    let family: RouteFamily
    var state: LeaseState
    var job: LeaseJob?
    let since: Int64
    /// When it last changed, in the table's own time: the answer to an earlier question is too old.
    var revision: UInt64
    /// An uncertain lease whose work the upstream accepted without naming a job.
    var isAccepted = false
    /// The request that took it, for whoever is refused because of it.
    var traceID: TraceID?
    /// Its answer was lost, and the job comes from a list: it may be another request's.
    var isGuess = false
    /// How the path of its request began, and for how long the request may be at work.
    var origin = LeaseOrigin()
    /// When the request of an uncertain lease was sent; `nil` where a process before this one sent it.
    var sentAt: Instant?
    /// Somebody was refused because of it since the last time that ``LeaseTable/watched()`` looked.
    var isAwaited = false
}

/// The leases on one connection: usually one, several where the matrix lets operations run beside each other.
struct ConnectionLeases: Sendable {
    var entries: [LeaseEntry] = []
    /// Jobs whose end was learnt while the answer that names them was still on its way.
    var endedEarly: [String] = []
    /// The last known state of jobs that were seen to run before the response that names them arrived.
    var seenEarly: [LeaseJob] = []
}

/// The leases of one shard, under its lock.
struct LeaseShardState: Sendable {
    var leases: [LeaseKey: ConnectionLeases] = [:]
    private var histories: [LeaseKey: JobDurationHistory] = [:]
    private let maximumHistories: Int
    private let recorder: LeaseRecorder

    init(maximumHistories: Int, recorder: LeaseRecorder) {
        self.maximumHistories = maximumHistories
        self.recorder = recorder
    }

    /// A lease begins. Returns the journal's position.
    mutating func add(_ key: LeaseKey, _ lease: LeaseEntry) -> UInt64 {
        leases[key, default: ConnectionLeases()].entries.append(lease)
        return recorder.began(key, lease)
    }

    /// The conflict that refuses an operation. Marks the leases of the connection: somebody waits for them.
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
        // Another lease may have the job, too: one that found it running, or an earlier one if the job was started again. Then
        // both hold, for their kinds exclude different things, and both end with the job.
        let seen = leases[key]?.seenEarly.last { $0.id == job.id }
        update(key, serial: serial) { lease in
            // The answer tells how the job began; what was seen since is newer.
            lease.job = seen ?? job
            lease.state = .held
            lease.isGuess = isGuess
            lease.revision = revision
        }
        if let lease = lease(of: key, serial: serial) { recorder.changed(key, lease) }
    }

    mutating func reconcile(_ key: LeaseKey, running: [LeaseJob], asOf revision: LeaseRevision, now: Int64) {
        for job in running where !hasLease(of: key, jobID: job.id) {
            // A lease that became uncertain after the poll is skipped: the listed job is not necessarily its own.
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
        // One request starts one job, so the ends that may overtake answers are few.
        if record.endedEarly.count == 16 { record.endedEarly.removeFirst() }
        record.endedEarly.append(jobID)
        leases[key] = record
    }

    /// Ends the leases that had this job before a moment.
    mutating func endLeases(of key: LeaseKey, jobID: String, revisedBefore serial: UInt64, now: Int64) {
        for lease in leases[key]?.entries ?? [] where lease.job?.id == jobID && lease.revision < serial {
            end(key, lease, asOf: serial, now: now)
        }
    }

    /// The job of a lease is over: so said the answer to a question that was asked at `serial`.
    ///
    /// A job that is a guess may be another request's. Its end does not free the lease, which becomes uncertain again.
    mutating func end(_ key: LeaseKey, _ lease: LeaseEntry, asOf serial: UInt64, now: Int64) {
        guard lease.isGuess else {
            recordDuration(key, since: lease.since, now: now)
            return remove(key, serial: lease.serial)
        }
        update(key, serial: lease.serial) { lease in
            lease.state = .uncertain
            lease.job = nil
            lease.isGuess = false
            // `.max`: the upstream said it without being asked, so there is no poll that could be too old.
            if serial < .max { lease.revision = max(lease.revision, serial) }
        }
        if let lease = self.lease(of: key, serial: lease.serial) { recorder.changed(key, lease) }
    }

    /// A job was seen to run. The lease that has it takes it over; if none has it yet, the one that gets it will.
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

    /// Whether a lease has this job, and not as a guess.
    func hasSureLease(of key: LeaseKey, jobID: String) -> Bool {
        leases[key]?.entries.contains { $0.job?.id == jobID && !$0.isGuess } ?? false
    }

    /// Changes the leases that have this job; `false` where there is none.
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
        recorder.ended(lease)
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

    /// What this connection's own jobs took, less the age of the one that runs; a few seconds when that says nothing.
    private func retryAfter(_ key: LeaseKey, _ lease: LeaseEntry, now: Int64) -> Int {
        guard lease.kind.lifetime == .job else { return 1 }
        let remaining = histories[key]?.remaining(age: now - lease.since) ?? 3000
        return Int(min(max((remaining + 999) / 1000, 1), 60))
    }
}

extension ConcurrencyMatrix {
    /// Whether the two may not run beside each other: exclusion is mutual, whichever of the two lists the other.
    ///
    /// `running` may come from an older policy set, so its name counts and not its index; a kind that no longer exists
    /// excludes everything.
    fileprivate func excludes(_ asked: LeaseKind, _ running: LeaseKind) -> Bool {
        guard let known = current(running) else { return true }
        return conflict(of: asked, with: known) || conflict(of: known, with: asked)
    }

    private func current(_ kind: LeaseKind) -> LeaseKind? {
        if kinds.indices.contains(kind.index), kinds[kind.index].name == kind.name { return kinds[kind.index] }
        return self.kind(named: kind.name)
    }
}
