/// The connector service: syncs sources to destinations, keeps what it did in a journal, and answers its HTTP API.
///
/// `Sendable`, and called from every gateway event loop: ``respond(to:)`` never blocks, ``perform(_:)`` suspends.
///
/// What its operations mean:
/// - sync: rows beyond the cursor go behind the others. If one of them is there already, by its key, the file is
///   written anew with the new row in place of the old. A stream without a cursor field is written anew each time.
/// - refresh: rewinds the cursors, then syncs: rows are replaced by key, and those that the source has no more stay.
///   With `remove_records` the destination rows go first. `[]` means all streams.
/// - clear, reset: erase destination rows and cursors, of some streams or of all.
/// - cancel: what is committed stays. A file that was being written anew stays as it was.
/// - A job that a crash or ``shutdown()`` interrupts goes on from its cursor after the next start.
///
/// Not more than `jobsKept` jobs are kept per connection, and an eighth more until they are trimmed.
package final class ConnectorService: Sendable {
    let store: StateStore
    let committer: JournalCommitter
    let runner: JobRunner
    let now: @Sendable () -> Timestamp
    let random: @Sendable () -> UInt64
    /// When this process opened the state directory.
    let started: Timestamp
    /// Held as long as the service lives.
    private let lock: any StorageFile
    private let threads = BlockingThreadPool(count: 1, name: "connector-stop")
    /// Where long bodies are read and long lists made, so that no caller's event loop waits for them.
    let sideThreads = BlockingThreadPool(count: 1, name: "connector-side")

    /// Opens the state directory, takes back what a crash left half done, and resumes its jobs. Blocks.
    ///
    /// Throws an error whose description is one clear line (or one per mistake in `connectors.json5`).
    package static func start(_ options: ConnectorOptions) throws -> ConnectorService {
        try ConnectorService(options)
    }

    private init(_ options: ConnectorOptions) throws {
        let storage = options.storage
        let root = "\(options.stateDirectory)/connectors"
        try storage.createDirectory(root)
        lock = try storage.open("\(root)/lock", for: .write)
        guard lock.lock() else {
            throw JournalRefusal(
                description: "the state directory \(options.stateDirectory) is in use by another process; "
                    + "stop it, or give this one a directory of its own with --state")
        }
        let definitions = try Self.definitions(options)
        try storage.createDirectory("\(root)/journal")
        let files = JournalFiles(folder: "\(root)/journal", disk: options.journalDisk("\(root)/journal"))
        let recovery = try JournalRecovery.read(files, salt: options.random())
        for warning in recovery.warnings { options.warn(warning) }

        var state = ServiceState(definitions, endedJobsKept: options.jobsKept)
        for record in recovery.records { state.apply(record) }
        let (kept, entries) = (state, state.entries)
        store = StateStore(kept)
        now = { [clock = options.now] in Timestamp(milliseconds: clock()) }
        random = options.random
        started = now()
        let journal = try ConnectorJournal(
            files, recovery, compactAfter: options.compactionBytes, random: options.random, warn: options.warn,
            apply: { [store] in store.apply($0) },
            snapshot: { [store] in store.withState { $0 }.snapshot() })
        committer = JournalCommitter(journal, timeout: options.commitTimeout)
        runner = JobRunner(store: store, committer: committer, storage: storage, threads: options.workThreads, now: now)
        for entry in entries { recover(entry, storage: storage, warn: options.warn) }
    }

    /// Brings the destination of one connection in line with the journal, and its job back to life.
    private func recover(_ entry: ServiceState.Entry, storage: any Storage, warn: (String) -> Void) {
        guard let definition = entry.definition else {
            guard var job = entry.activeJob?.job, job.ended(.failed, failure: "its connection was removed", at: now())
            else {
                return
            }
            store.withState { $0.apply(.job(job)) }
            return
        }
        let destination = FileDestination(folder: definition.destinationFolder, storage: storage)
        for (stream, position) in entry.positions {
            do { try destination.settle(stream, at: position) } catch { warn("\(error)") }
        }
        if let active = entry.activeJob { runner.start(active.job) }
    }

    private static func definitions(_ options: ConnectorOptions) throws -> [ConnectionDefinition] {
        let path = "\(options.stateDirectory)/connectors.json5"
        var bytes = try options.storage.contents(of: path)
        if bytes == nil, options.createsDemo {
            let demo = DemoData(stateDirectory: options.stateDirectory, storage: options.storage)
            try demo.create(definitionsPath: path)
            bytes = Array(DemoData.definitions.utf8)
        }
        guard let bytes else { return [] }
        return try ConnectionFile.read(bytes, name: path, stateDirectory: options.stateDirectory).map {
            var pace = $0.pace
            if let rows = options.rowsPerSecond { pace.rowsPerSecond = rows }
            if let minimum = options.minimumJobMilliseconds { pace.minimumMilliseconds = minimum }
            return ConnectionDefinition(
                key: $0.key, name: $0.name, family: $0.family, source: $0.source,
                destinationFolder: $0.destinationFolder, streams: $0.streams, pace: pace)
        }
    }
}

extension ConnectorService {
    /// The jobs that have not ended, one per connection at most.
    package func runningJobs() -> [JobReference] {
        store.withState { state in
            state.entries.compactMap { entry in
                guard let definition = entry.definition, let active = entry.activeJob else { return nil }
                return JobReference(active.job, family: definition.family)
            }
        }
    }

    /// The connection of a job, or `nil` if the organization has no such job.
    package func connection(ofJob id: String, organization: String) -> String? {
        store.withState { $0.job(id, of: organization)?.job.connection.id }
    }

    /// Calls `observer` when a job began or ended, after that is durable and before the client hears of it.
    ///
    /// It is called on the journal's thread: it must be short, and must not wait.
    package func onJobEvent(_ observer: @escaping @Sendable (JobEvent) -> Void) { store.observe(observer) }

    /// Stops the jobs at their last checkpoint, flushes the journal and gives the state directory back. The jobs go on
    /// after the next start; reads are still answered.
    package func shutdown() async {
        committer.prepareToStop()
        await runner.stop()
        await threads.run { [committer] in committer.close() }
        lock.unlock()
    }
}
