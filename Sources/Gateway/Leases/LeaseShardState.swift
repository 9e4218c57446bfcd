internal import Policy
internal import Transport

/// The leases of one shard, under its lock.
struct LeaseShardState: Sendable {
    var leases: [LeaseKey: ConnectionLeases] = [:]
    private var histories: [LeaseKey: EndedJobs] = [:]
    private let maximumHistories: Int
    let tracker: LeaseTracker
    /// The greatest generation that a lease of this shard has had.
    private var lastGeneration: UInt64 = 0
    /// The table remembers the jobs that ended from then on, in milliseconds since the epoch.
    private(set) var remembersFrom = Int64.min
    /// A generation, and the time at which it was the next one.
    private var generationStart: (generation: UInt64, instant: Instant)?

    init(maximumHistories: Int, tracker: LeaseTracker) {
        self.maximumHistories = maximumHistories
        self.tracker = tracker
    }

    /// The generation of the next lease of this shard. It begins with the time of day in milliseconds, or above those of an earlier
    /// process, and grows with the monotonic time. So it needs no counter for each connection, and is no count of other organizations'
    /// leases, whatever the time of day does.
    mutating func nextGeneration(_ now: Moment) -> UInt64 {
        let start =
            generationStart ?? (max(lastGeneration + 1, UInt64(max(now.epochMilliseconds, 0))), now.instant)
        generationStart = start
        let elapsed = now.instant.nanoseconds - min(now.instant.nanoseconds, start.instant.nanoseconds)
        lastGeneration = max(lastGeneration + 1, start.generation + elapsed / 1_000_000)
        return lastGeneration
    }

    /// No later lease of this shard gets a generation up to `generation`.
    mutating func skipGenerations(upTo generation: UInt64) { lastGeneration = max(lastGeneration, generation) }

    /// Jobs that ended before may have been those of leases that this process does not know.
    mutating func remembers(from now: Moment) { remembersFrom = now.epochMilliseconds }

    /// A lease begins. Returns its position in the journal.
    mutating func add(_ key: LeaseKey, _ lease: LeaseEntry) -> UInt64 {
        leases[key, default: ConnectionLeases()].entries.append(lease)
        return tracker.began(key, lease)
    }

    /// Removes the leases of the connection whose settle time is over.
    mutating func removeSettled(_ key: LeaseKey, now: Instant) {
        for lease in leases[key]?.entries ?? [] where lease.hasSettled(at: now) {
            // After a restart, somebody may wait again for a job that is not sure to be the lease's.
            remove(key, serial: lease.serial, leaving: lease.isGuess ? .unknown : .nothing)
        }
    }

    func conflict(
        _ key: LeaseKey, kind: LeaseKind, matrix: ConcurrencyMatrix, shownTo viewer: LeaseOwner? = nil, now: Moment
    ) -> LeaseConflict? {
        guard let record = leases[key] else { return nil }
        for lease in record.entries where matrix.excludes(kind, lease.kind) {
            if lease.hasSettled(at: now.instant) { continue }
            return self.conflict(of: lease, on: key, shownTo: viewer, now: now)
        }
        return nil
    }

    func conflict(
        of lease: LeaseEntry, on key: LeaseKey, shownTo viewer: LeaseOwner?, now: Moment
    ) -> LeaseConflict {
        LeaseConflict(
            kind: lease.kind.name, state: lease.state, job: lease.job, heldSince: lease.since,
            retryAfterSeconds: retryAfter(key, lease, now: now), traceID: lease.traceID,
            generation: lease.generation, token: lease.owner?.token(shownTo: viewer, about: key.organization))
    }

    mutating func bind(
        _ key: LeaseKey, serial: UInt64, to job: LeaseJob, isGuess: Bool = false, revision: UInt64, now: Moment
    ) {
        let record = leases[key]
        let endedEarly = record?.endedEarly.contains(job.id) ?? false
        if job.hasEnded || endedEarly {
            update(key, serial: serial) { $0.job = job }
            guard let lease = lease(of: key, serial: serial) else { return }
            // The job is over before a waiter can ask again, so each gets it now.
            for waiter in lease.waiters { waiter.end(.job(job)) }
            return end(
                key, lease, asOf: revision, by: endedEarly ? .witnessed : EndEvidence(job) ?? .witnessed, now: now)
        }
        // Another lease may have the same job: one that found it in a list, or an earlier one if the job was started
        // again. Both leases stay, because their kinds exclude different operations, and both end with the job.
        let seen = record?.seenEarly.last { $0.id == job.id }
        let lease = update(key, serial: serial) { lease in
            // The response has the job's first state; a state that was seen since then is newer.
            lease.job = seen ?? job
            lease.state = .held
            lease.isGuess = isGuess
            lease.hadGuess = lease.hadGuess || isGuess
            if lease.mayHaveStarted(job) {
                for waiter in lease.waiters { waiter.end(.job(job)) }
                lease.waiters = []
            }
            lease.revision = revision
        }
        if let lease { tracker.changed(key, lease) }
    }

    /// The lease's own request was refused for `job`, which another one has started. Returns the conflict with it.
    mutating func adopt(
        _ key: LeaseKey, serial: UInt64, _ job: LeaseJob, revision: UInt64, now: Moment
    ) -> LeaseConflict {
        update(key, serial: serial) { lease in
            // Nobody knows who started it, and it is not the answer to the request.
            lease.owner = nil
            lease.traceID = nil
            for waiter in lease.waiters { waiter.end(.nothing) }
            lease.waiters = []
        }
        tracker.running.end(serial, on: key)
        _ = tracker.running.begin(serial, on: key, of: nil)
        bind(key, serial: serial, to: job, revision: revision, now: now)
        if let lease = lease(of: key, serial: serial) {
            return conflict(of: lease, on: key, shownTo: nil, now: now)
        }
        // The job has ended meanwhile.
        return LeaseConflict(
            kind: job.type, state: .held, job: job, heldSince: job.startedAt ?? now.epochMilliseconds,
            retryAfterSeconds: 1)
    }

    func lastEnd(_ key: LeaseKey) -> Instant? { histories[key]?.lastEnd }

    /// Whether the job is known to be over, so that another lease had it, or may have had it.
    func isOver(_ job: LeaseJob, on key: LeaseKey) -> Bool { histories[key]?.isOver(job.id) ?? false }

    /// Whether the job was over, or another lease's, before this lease began.
    func wasOver(_ job: LeaseJob, on key: LeaseKey, before lease: LeaseEntry) -> Bool {
        histories[key]?.wasOver(job.id, at: lease.beganAt) ?? false
    }

    mutating func reconcile(_ key: LeaseKey, running: [LeaseJob], asOf revision: LeaseRevision, now: Moment) {
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
            // A job that ended while no lease had it may be this lease's.
            case .uncertain: remove(key, serial: lease.serial, leaving: hasEndedEarly(key) ? .unknown : .nothing)
            case .held, .draining:
                guard let id = lease.job?.id, !running.contains(where: { $0.id == id }) else { break }
                endLeases(of: key, jobID: id, revisedBefore: revision.serial, by: .witnessed, now: now)
            case .settling: break
            }
        }
    }

    mutating func jobEnded(_ key: LeaseKey, jobID: String, now: Moment) {
        if hasLease(of: key, jobID: jobID) {
            return endLeases(of: key, jobID: jobID, revisedBefore: .max, by: .witnessed, now: now)
        }
        guard var record = leases[key] else { return }
        guard record.entries.contains(where: { $0.job == nil }), !record.endedEarly.contains(jobID) else { return }
        // One request starts one job, so few ends can arrive before their responses.
        if record.endedEarly.count == 16 { record.endedEarly.removeFirst() }
        record.endedEarly.append(jobID)
        leases[key] = record
    }

    /// Ends the leases that had this job before the logical time `serial`.
    mutating func endLeases(
        of key: LeaseKey, jobID: String, revisedBefore serial: UInt64, by evidence: EndEvidence, now: Moment
    ) {
        for lease in leases[key]?.entries ?? [] where lease.job?.id == jobID && lease.revision < serial {
            end(key, lease, asOf: serial, by: evidence, now: now)
        }
    }

    /// The job of a lease has ended, according to the response to a poll made at `serial`.
    ///
    /// A guessed job may belong to another request. Its end does not free the lease, which becomes uncertain again.
    mutating func end(
        _ key: LeaseKey, _ lease: LeaseEntry, asOf serial: UInt64, by evidence: EndEvidence, now: Moment
    ) {
        // One that settles is no longer bound to its job.
        guard lease.isGuess, lease.state != .settling else {
            if lease.state != .settling { recordEnd(key, lease, now: now) }
            if evidence == .witnessed || lease.kind.settleTime == .zero {
                return remove(key, serial: lease.serial, leaving: lease.isGuess ? .unknown : .nothing)
            }
            // The settle time does not begin again.
            if lease.state == .settling { return }
            update(key, serial: lease.serial) { lease in
                lease.state = .settling
                lease.settlesUntil = now.instant + lease.kind.settleTime
                if serial < .max { lease.revision = max(lease.revision, serial) }
            }
            if let lease = self.lease(of: key, serial: lease.serial) { tracker.changed(key, lease) }
            return
        }
        update(key, serial: lease.serial) { lease in
            lease.state = .uncertain
            lease.job = nil
            lease.isGuess = false
            if evidence != .witnessed { lease.settlesUntil = now.instant + lease.kind.settleTime }
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

    /// The journal must have the lease as it is now.
    func leaseChanged(_ key: LeaseKey, _ lease: LeaseEntry) { tracker.changed(key, lease) }

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

    /// Returns the lease as it is then; `nil` if there is none.
    @discardableResult
    mutating func update(_ key: LeaseKey, serial: UInt64, _ change: (inout LeaseEntry) -> Void) -> LeaseEntry? {
        // The key is hashed once.
        guard let place = leases.index(forKey: key),
            let index = leases.values[place].entries.firstIndex(where: { $0.serial == serial })
        else { return nil }
        change(&leases.values[place].entries[index])
        return leases.values[place].entries[index]
    }

    private func hasEndedEarly(_ key: LeaseKey) -> Bool { !(leases[key]?.endedEarly.isEmpty ?? true) }

    /// `outcome`: what the lease leaves to whoever waits for its job.
    mutating func remove(_ key: LeaseKey, serial: UInt64, leaving outcome: LeaseWaiter.Outcome = .nothing) {
        guard let index = leases[key]?.entries.firstIndex(where: { $0.serial == serial }),
            let lease = leases[key]?.entries.remove(at: index)
        else { return }
        for waiter in lease.waiters { waiter.end(outcome) }
        tracker.ended(key, lease)
        queueMoved(key)
    }

    func lease(of key: LeaseKey, serial: UInt64) -> LeaseEntry? {
        leases[key]?.entries.first { $0.serial == serial }
    }

    /// The job of this lease is over, as far as the upstream says.
    mutating func recordEnd(_ key: LeaseKey, _ lease: LeaseEntry, now: Moment) {
        changeHistory(key) { history in
            history.append(now.epochMilliseconds - lease.since, end: now.instant)
            if let job = lease.job { history.jobIsOver(job.id) }
        }
    }

    /// A list shows these jobs, newest first, and no running one: they belong to no lease that begins at `since` or later. If they
    /// are many, the newest are remembered.
    mutating func jobsAreOver(_ jobs: [LeaseJob], on key: LeaseKey, since: Instant) {
        if jobs.isEmpty { return }
        changeHistory(key) { history in
            for job in jobs.reversed() { history.jobIsOver(job.id, since: since) }
        }
    }

    private mutating func changeHistory(_ key: LeaseKey, _ change: (inout EndedJobs) -> Void) {
        if histories.count >= maximumHistories, histories[key] == nil, let any = histories.first {
            histories[any.key] = nil
        }
        change(&histories[key, default: EndedJobs()])
    }

    /// The typical duration of this connection's jobs less the age of the running one; 3 s if no duration is known.
    private func retryAfter(_ key: LeaseKey, _ lease: LeaseEntry, now: Moment) -> Int {
        if let end = lease.settlesUntil {
            return Int(
                min(
                    max(
                        (end.nanoseconds - min(end.nanoseconds, now.instant.nanoseconds) + 999_999_999) / 1_000_000_000,
                        1), 60))
        }
        guard lease.kind.lifetime == .job else { return 1 }
        let remaining = histories[key]?.remaining(age: now.epochMilliseconds - lease.since) ?? 3000
        return Int(min(max((remaining + 999) / 1000, 1), 60))
    }
}

extension ConcurrencyMatrix {
    /// Whether the two kinds exclude each other. Exclusion is mutual, whichever of the two kinds lists the other.
    ///
    /// `running` may come from an older policy set, so it is looked up by name, not by index. A kind that no longer
    /// exists excludes everything.
    func excludes(_ asked: LeaseKind, _ running: LeaseKind) -> Bool {
        guard let known = current(running) else { return true }
        return conflict(of: asked, with: known) || conflict(of: known, with: asked)
    }

    private func current(_ kind: LeaseKind) -> LeaseKind? {
        if kinds.indices.contains(kind.index), kinds[kind.index].name == kind.name { return kinds[kind.index] }
        return self.kind(named: kind.name)
    }
}
