/// Everything that the service knows: the contents of the journal, and reservations that the journal does not have yet.
///
/// A value behind one lock. Durable state changes only by ``apply(_:)``, in a running service and in recovery.
struct ServiceState: Sendable {
    /// The state of one connection.
    struct Entry: Sendable {
        let key: ConnectionKey
        /// `nil` for a connection that is not defined any more; its state is kept, but not shown.
        let definition: ConnectionDefinition?
        var cursors = CursorState.notSet
        /// The response to "get state", ready to send.
        var renderedCursors = CursorState.notSet.rendered()
        var positions: [String: StreamPosition] = [:]
        var jobs = JobHistory()
        /// The one job that has not ended, from the moment its trigger is accepted for the journal.
        var activeJob: JobHistory.Snapshot?
    }

    private var indexes: [ConnectionKey: Int] = [:]
    private(set) var entries: [Entry] = []
    private var indexesOfOrganization: [String: [Int]] = [:]
    private var jobLocations: [String: (entry: Int, sequence: Int)] = [:]
    private let endedJobsKept: Int

    init(_ definitions: [ConnectionDefinition], endedJobsKept: Int) {
        self.endedJobsKept = endedJobsKept
        for definition in definitions {
            indexes[definition.key] = entries.count
            indexesOfOrganization[definition.key.organization, default: []].append(entries.count)
            entries.append(Entry(key: definition.key, definition: definition))
        }
    }

    /// The defined connections of `organization`, in the order of the definitions.
    func indexes(of organization: String) -> [Int] { indexesOfOrganization[organization] ?? [] }

    /// A defined connection.
    func index(of key: ConnectionKey) -> Int? {
        guard let index = indexes[key], entries[index].definition != nil else { return nil }
        return index
    }

    subscript(index: Int) -> Entry {
        _read { yield entries[index] }
        _modify { yield &entries[index] }
    }

    /// A job of a defined connection of `organization`, and that connection.
    func job(_ id: String, of organization: String) -> (job: Job, entry: Int)? {
        guard let location = jobLocations[id.isUUID ? id.lowercased() : id],
            let job = entries[location.entry].jobs[location.sequence],
            job.connection.organization == organization, entries[location.entry].definition != nil
        else { return nil }
        return (job, location.entry)
    }
}

extension ServiceState {
    /// Applies a committed record.
    mutating func apply(_ record: JournalRecord) {
        switch record {
        case .job(let job): apply(job)
        case .cancel(let id, let time):
            guard let location = jobLocations[id] else { return }
            entries[location.entry].update(location.sequence) { $0.cancelRequested(at: time) }
        case .position(let key, let stream, let position):
            entries[location(of: key)].positions[stream] = position
        case .cursors(let key, let state):
            let index = location(of: key)
            entries[index].cursors = state
            entries[index].renderedCursors = state.rendered()
        }
    }

    /// The status of a job of any organization.
    func status(ofJob id: String) -> Job.Status? {
        jobLocations[id].flatMap { entries[$0.entry].jobs[$0.sequence]?.status }
    }

    private mutating func apply(_ job: Job) {
        guard let location = jobLocations[job.id] else {
            let index = location(of: job.connection)
            jobLocations[job.id] = (index, entries[index].jobs.append(job))
            if !job.status.isEnd { entries[index].activeJob = entries[index].jobs.all.last }
            for forgotten in entries[index].jobs.trim(to: endedJobsKept) { jobLocations[forgotten] = nil }
            return
        }
        entries[location.entry].update(location.sequence) { current in
            var job = job
            job.keepCancelRequest(of: current)
            current = job
            return true
        }
    }

    /// Shows the progress of a running job before it is committed.
    mutating func show(_ counters: Job.Counters, of id: String) {
        guard let location = jobLocations[id] else { return }
        entries[location.entry].update(location.sequence) { job in
            job.show(counters)
            return true
        }
    }

    private mutating func location(of key: ConnectionKey) -> Int {
        if let index = indexes[key] { return index }
        indexes[key] = entries.count
        entries.append(Entry(key: key, definition: nil))
        return entries.count - 1
    }

    /// The records that restore this state.
    func snapshot() -> [JournalRecord] {
        var records: [JournalRecord] = []
        for entry in entries {
            if entry.cursors != .notSet { records.append(.cursors(entry.key, entry.cursors)) }
            for (stream, position) in entry.positions.sorted(by: { $0.key < $1.key }) {
                records.append(.position(entry.key, stream: stream, position))
            }
            records += entry.jobs.all.map { .job($0.job) }
        }
        return records
    }
}

extension ServiceState.Entry {
    /// Changes a job in its history and, if it is the active one, there.
    fileprivate mutating func update(_ sequence: Int, _ change: (inout Job) -> Bool) {
        guard var job = jobs[sequence], change(&job) else { return }
        let snapshot = JobHistory.Snapshot(job)
        jobs.replace(sequence, with: snapshot)
        guard activeJob?.job.id == job.id else { return }
        activeJob = job.status.isEnd ? nil : snapshot
    }
}
