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
    var settledAt: UInt64
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
    var holders: [LeaseEntry] = []
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
    mutating func add(_ key: LeaseKey, _ holder: LeaseEntry) -> UInt64 {
        leases[key, default: ConnectionLeases()].holders.append(holder)
        return recorder.began(key, holder)
    }

    /// The conflict that refuses an operation. Marks the leases of the connection: somebody waits for them.
    mutating func refusal(_ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Int64) -> LeaseConflict? {
        guard let conflict = conflict(key, kind: kind, matrix: matrix, now: now) else { return nil }
        for index in leases[key]?.holders.indices ?? 0..<0 { leases[key]?.holders[index].isAwaited = true }
        return conflict
    }

    func conflict(_ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, now: Int64) -> LeaseConflict? {
        guard let record = leases[key] else { return nil }
        for holder in record.holders where matrix.excludes(kind, holder.kind) {
            return LeaseConflict(
                kind: holder.kind.name, state: holder.state, job: holder.job, heldSince: holder.since,
                retryAfterSeconds: retryAfter(key, holder, now: now), traceID: holder.traceID)
        }
        return nil
    }

    mutating func bind(
        _ key: LeaseKey, serial: UInt64, to job: LeaseJob, isGuess: Bool = false, settledAt: UInt64, now: Int64
    ) {
        let endedEarly = leases[key]?.endedEarly.contains(job.id) ?? false
        if job.hasEnded || endedEarly {
            recordDuration(key, serial: serial, now: now)
            return remove(key, serial: serial)
        }
        // Another lease may have the job, too: one that found it running, or an earlier one if the job was started again. Then
        // both hold, for their kinds exclude different things, and both end with the job.
        let seen = leases[key]?.seenEarly.last { $0.id == job.id }
        update(key, serial: serial) { holder in
            // The answer tells how the job began; what was seen since is newer.
            holder.job = seen ?? job
            holder.state = .held
            holder.isGuess = isGuess
            holder.settledAt = settledAt
        }
        if let holder = holder(of: key, serial: serial) { recorder.changed(key, holder) }
    }

    mutating func reconcile(_ key: LeaseKey, running: [LeaseJob], askedAt moment: LeaseMoment, now: Int64) {
        for job in running where !hasHolder(of: key, jobID: job.id) {
            // A lease that became uncertain after the poll is skipped: the listed job is not necessarily its own.
            let lost = leases[key]?.holders.first {
                $0.state == .uncertain && $0.kind.lifetime == .job && $0.settledAt < moment.serial
            }
            if let lost { bind(key, serial: lost.serial, to: job, settledAt: moment.serial, now: now) }
        }
        for holder in leases[key]?.holders ?? [] where holder.settledAt < moment.serial {
            switch holder.state {
            case .reserved: break
            case .uncertain: remove(key, serial: holder.serial)
            case .held, .draining:
                guard let id = holder.job?.id, !running.contains(where: { $0.id == id }) else { break }
                endHolders(of: key, jobID: id, settledBefore: moment.serial, now: now)
            }
        }
    }

    mutating func jobEnded(_ key: LeaseKey, jobID: String, now: Int64) {
        if hasHolder(of: key, jobID: jobID) {
            return endHolders(of: key, jobID: jobID, settledBefore: .max, now: now)
        }
        guard var record = leases[key] else { return }
        guard record.holders.contains(where: { $0.job == nil }), !record.endedEarly.contains(jobID) else { return }
        // One request starts one job, so the ends that may overtake answers are few.
        if record.endedEarly.count == 16 { record.endedEarly.removeFirst() }
        record.endedEarly.append(jobID)
        leases[key] = record
    }

    /// Ends the leases that had this job before a moment.
    mutating func endHolders(of key: LeaseKey, jobID: String, settledBefore serial: UInt64, now: Int64) {
        for holder in leases[key]?.holders ?? [] where holder.job?.id == jobID && holder.settledAt < serial {
            end(key, holder, askedAt: serial, now: now)
        }
    }

    /// The job of a lease is over: so said the answer to a question that was asked at `serial`.
    ///
    /// A job that is a guess may be another request's. Its end does not free the lease, which becomes uncertain again.
    mutating func end(_ key: LeaseKey, _ holder: LeaseEntry, askedAt serial: UInt64, now: Int64) {
        guard holder.isGuess else {
            recordDuration(key, since: holder.since, now: now)
            return remove(key, serial: holder.serial)
        }
        update(key, serial: holder.serial) { holder in
            holder.state = .uncertain
            holder.job = nil
            holder.isGuess = false
            // `.max`: the upstream said it without being asked, so there is no poll that could be too old.
            if serial < .max { holder.settledAt = max(holder.settledAt, serial) }
        }
        if let holder = self.holder(of: key, serial: holder.serial) { recorder.changed(key, holder) }
    }

    /// A job was seen to run. The lease that has it takes it over; if none has it yet, the one that gets it will.
    mutating func jobSeen(_ key: LeaseKey, _ job: LeaseJob) {
        if updateHolders(of: key, jobID: job.id, { $0.job = job }) { return }
        guard var record = leases[key], record.holders.contains(where: { $0.job == nil }) else { return }
        if record.seenEarly.count == 16 { record.seenEarly.removeFirst() }
        record.seenEarly.append(job)
        leases[key] = record
    }

    func hasHolder(of key: LeaseKey, jobID: String) -> Bool {
        leases[key]?.holders.contains { $0.job?.id == jobID } ?? false
    }

    /// Whether a lease has this job, and not as a guess.
    func hasSureHolder(of key: LeaseKey, jobID: String) -> Bool {
        leases[key]?.holders.contains { $0.job?.id == jobID && !$0.isGuess } ?? false
    }

    /// Changes the leases that have this job; `false` where there is none.
    mutating func updateHolders(of key: LeaseKey, jobID: String, _ change: (inout LeaseEntry) -> Void) -> Bool {
        var isFound = false
        for index in leases[key]?.holders.indices ?? 0..<0 where leases[key]?.holders[index].job?.id == jobID {
            change(&leases[key, default: ConnectionLeases()].holders[index])
            isFound = true
        }
        return isFound
    }

    mutating func update(_ key: LeaseKey, serial: UInt64, _ change: (inout LeaseEntry) -> Void) {
        guard let index = leases[key]?.holders.firstIndex(where: { $0.serial == serial }) else { return }
        change(&leases[key, default: ConnectionLeases()].holders[index])
    }

    mutating func remove(_ key: LeaseKey, serial: UInt64) {
        guard let index = leases[key]?.holders.firstIndex(where: { $0.serial == serial }),
            let holder = leases[key]?.holders.remove(at: index)
        else { return }
        if leases[key]?.holders.isEmpty ?? false { leases[key] = nil }
        recorder.ended(holder)
    }

    func holder(of key: LeaseKey, serial: UInt64) -> LeaseEntry? {
        leases[key]?.holders.first { $0.serial == serial }
    }

    private mutating func recordDuration(_ key: LeaseKey, serial: UInt64, now: Int64) {
        guard let holder = holder(of: key, serial: serial) else { return }
        recordDuration(key, since: holder.since, now: now)
    }

    private mutating func recordDuration(_ key: LeaseKey, since: Int64, now: Int64) {
        if histories.count >= maximumHistories, histories[key] == nil, let any = histories.first {
            histories[any.key] = nil
        }
        histories[key, default: JobDurationHistory()].append(now - since)
    }

    /// What this connection's own jobs took, less the age of the one that runs; a few seconds when that says nothing.
    private func retryAfter(_ key: LeaseKey, _ holder: LeaseEntry, now: Int64) -> Int {
        guard holder.kind.lifetime == .job else { return 1 }
        let remaining = histories[key]?.remaining(age: now - holder.since) ?? 3000
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
