/// The connector service: syncs sources to destinations, records its jobs in a journal, and serves its HTTP API.
///
/// `Sendable`, and called from every gateway event loop: ``respond(to:)`` never blocks, ``perform(_:)`` suspends.
///
/// Its operations:
/// - sync: appends the rows after the cursor to the destination file. If the file has a row with the same key, a new
///   file replaces it, with the new row instead. A stream without a cursor field gets a new file each time.
/// - refresh: rewinds the cursors, then syncs. Rows are replaced by key; rows that the source no longer has stay. With
///   `remove_records` the destination rows are erased first. `[]` means all streams.
/// - clear, reset: erase destination rows and cursors, of some streams or of all.
/// - cancel: committed rows stay. A file that was about to be replaced stays as it was.
/// - A job that a crash or ``shutdown()`` interrupts resumes from its cursor after the next start.
///
/// At most `jobsKept` jobs are kept per connection; they are trimmed when there are an eighth more.
package final class ConnectorService: Sendable {
    let store: StateStore
    let committer: JournalCommitter
    let runner: JobRunner
    let now: @Sendable () -> Timestamp
    let random: @Sendable () -> UInt64
    /// When this process opened the state directory.
    let started: Timestamp
    /// Held until ``shutdown()``.
    private let lock: any StorageFile
    private let threads = BlockingThreadPool(count: 1, name: "connector-stop")
    /// Parses long bodies and makes long lists, so that no caller's event loop waits for them.
    let sideThreads = BlockingThreadPool(count: 1, name: "connector-side")

    /// Opens the state directory, undoes the writes that a crash left unfinished, and resumes the jobs. Blocks.
    ///
    /// Throws an error whose description is one line, or one line per mistake in `connectors.json5`.
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

    /// Makes the destination of one connection agree with the journal, and resumes its job.
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
            do { try destination.reconcile(stream, with: position) } catch { warn("\(error)") }
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

    /// The connection of a job; `nil` if the organization has no such job.
    package func connection(ofJob id: String, organization: String) -> String? {
        store.withState { $0.job(id, of: organization)?.job.connection.id }
    }

    /// Calls `observer` when a job began or ended: after the journal has it, before anybody can read it.
    ///
    /// The journal's thread calls it, and holds the lock of the state: it must be short, must not wait, and must not call the service.
    package func onJobEvent(_ observer: @escaping @Sendable (JobEvent) -> Void) { store.observe(observer) }

    /// Stops the jobs at their last checkpoint, flushes the journal and unlocks the state directory. The jobs resume
    /// after the next start; reads still get responses.
    package func shutdown() async {
        committer.prepareToStop()
        await runner.stop()
        await threads.run { [committer] in committer.close() }
        lock.unlock()
    }
}
