/// One run of a job, from its first record to its last.
///
/// The code is a straight line. It waits for disks on the work threads, for the journal, and for its pace. It can be stopped at
/// any time: what it has committed is complete, and a later run continues from there.
struct JobRun {
    private let store: StateStore
    private let committer: JournalCommitter
    private let threads: BlockingThreadPool
    private let now: @Sendable () -> Timestamp
    private let source: FolderSource
    private let destination: FileDestination
    private let definition: ConnectionDefinition
    private let began = ContinuousClock.now
    private var job: Job
    private var cursors: CursorState
    private var positions: [String: StreamPosition]
    /// How many rows this run has moved. The pace depends on it.
    private var rowsMoved = 0

    init(
        _ job: Job, of definition: ConnectionDefinition, cursors: CursorState, positions: [String: StreamPosition],
        store: StateStore, committer: JournalCommitter,
        threads: BlockingThreadPool, storage: any Storage, now: @escaping @Sendable () -> Timestamp
    ) {
        self.job = job
        self.definition = definition
        self.store = store
        self.committer = committer
        self.threads = threads
        self.now = now
        source = definition.source
        destination = FileDestination(folder: definition.destinationFolder, storage: storage)
        self.cursors = cursors
        self.positions = positions
    }

    /// Runs the job to its end, or until the task is cancelled because the service stops.
    mutating func run() async {
        do {
            // The service may have accepted the cancellation before a restart.
            if job.isCancelRequested { throw CancellationError() }
            try Task.checkCancellation()
            try await begin()
            for name in job.streams.dropFirst(job.streamsDone) {
                try Task.checkCancellation()
                if let stream = definition.stream(name), job.kind == .sync || job.kind == .refresh {
                    try await sync(stream)
                } else {
                    job.checkpointed(job.counters, finishedStream: true, at: now())
                }
            }
            try await pause(untilElapsed: definition.pace.minimumMilliseconds)
            await end(.succeeded)
        } catch let failure as JobFailure {
            await end(.failed, failure.description)
        } catch {
            let id = job.id
            let organization = job.connection.organization
            let isCancelled = store.withState { $0.job(id, of: organization)?.job.isCancelRequested ?? false }
            if isCancelled { await end(.cancelled) }
        }
    }

    /// Records that the job runs. The same change does what must happen once, and not again after a restart.
    private mutating func begin() async throws {
        let isFirstStart = job.started(at: now())
        guard job.kind != .sync else {
            // An older version wrote the first record of a sync as `pending`. Nothing depends on this record, so the job
            // does not wait for it.
            if isFirstStart { committer.post(JournalChange([.job(job)])) }
            return
        }
        if isFirstStart {
            var records = [JournalRecord.job(job)]
            for stream in job.streams { cursors.rewind(stream) }
            records.append(.cursors(job.connection, cursors))
            for stream in job.streams where job.kind != .refresh || job.removesRecords {
                let position = StreamPosition(generation: position(of: stream).generation + 1, length: 0)
                positions[stream] = position
                records.append(.position(job.connection, stream: stream, position))
            }
            try await commit(records)
        }
        try await reconcileFiles()
    }

    private func reconcileFiles() async throws(JobFailure) {
        let (destination, positions, streams) = (destination, positions, job.streams)
        try await threads.run { () throws(JobFailure) in
            for stream in streams { try destination.reconcile(stream, with: positions[stream] ?? .empty) }
        }
    }

    /// Ends the job, durably.
    private mutating func end(_ status: Job.Status, _ failure: String? = nil) async {
        if status != .succeeded { try? await reconcileFiles() }
        guard job.ended(status, failure: failure, at: now()) else { return }
        try? await commit([.job(job)])
    }

    private func position(of stream: String) -> StreamPosition { positions[stream] ?? .empty }

    /// Commits `records`. Tries again as long as the journal cannot be written, because a running job must not be forgotten.
    ///
    /// An unknown outcome is tried again, too. It means that the disk failed, and that a crash now could make the records
    /// durable. The journal cuts them off before it writes them again.
    ///
    /// Throws if the service stops meanwhile, or if the records are too long for the journal.
    private func commit(_ records: [JournalRecord]) async throws {
        let change = JournalChange(records)
        guard change.payload.count <= JournalChange.maxBytes else {
            throw JobFailure("its cursors are longer than \(JournalChange.maxBytes >> 20) MiB")
        }
        var delay = Duration.milliseconds(50)
        while await committer.commit(change) != .committed {
            guard !committer.isStopping else { throw CancellationError() }
            // In a task of its own: when the job is cancelled, this wait must not become a busy loop.
            await Task { [delay] in try? await Task.sleep(for: delay) }.value
            delay = min(delay * 2, .seconds(2))
        }
    }

    /// Waits until the job is as old as its pace wants.
    private func pause(untilElapsed milliseconds: Int64) async throws {
        let moment = began + .milliseconds(milliseconds)
        if moment > .now { try await Task.sleep(until: moment, clock: .continuous) }
    }
}

extension JobRun {
    private mutating func sync(_ stream: StreamDefinition) async throws {
        let (source, destination, position) = (source, destination, position(of: stream.name))
        // Rows without a key cannot be told apart, so all of them are replaced.
        let replacesAll =
            stream.cursorField == nil || job.isFullSync
            || (job.kind == .refresh && stream.keyField == nil && position.length > 0)
        let cursor = replacesAll ? nil : cursors.cursor(of: stream.name)
        let start = try await threads.run { () throws(JobFailure) in
            try SyncPlan.find(
                stream, after: cursor, at: position, replacesAll: replacesAll, source: source, destination: destination)
        }
        switch start.method {
        case .append: try await append(start.rows, to: stream)
        case .replace(let keepsOthers): try await replace(stream, with: start.rows, keepsOthers: keepsOthers)
        }
    }

    private mutating func append(_ rows: [SourceRow], to stream: StreamDefinition) async throws {
        var rest = rows[...]
        if rest.isEmpty { job.checkpointed(job.counters, finishedStream: true, at: now()) }
        while !rest.isEmpty {
            try Task.checkCancellation()
            let batch = nextBatch(rest)
            rest = rest.dropFirst(batch.count)
            let (source, destination, position) = (source, destination, position(of: stream.name))
            let next = try await threads.run { () throws(JobFailure) in
                let lines = try source.lines(of: batch, in: stream, storage: destination.storage)
                return try destination.append(lines, to: stream.name, at: position)
            }
            positions[stream.name] = next
            if let cursor = batch.last?.cursor { cursors.advance(stream.name, to: cursor) }
            var counters = job.counters
            counters.rows += batch.count
            counters.inserted += batch.count
            counters.bytes += next.length - position.length
            job.checkpointed(counters, finishedStream: rest.isEmpty, at: now())
            try await commit([
                .position(job.connection, stream: stream.name, next), .cursors(job.connection, cursors), .job(job),
            ])
            try await keepPace(batch.count)
        }
    }

    private mutating func replace(
        _ stream: StreamDefinition, with rows: [SourceRow], keepsOthers: Bool
    ) async throws {
        let (destination, position, before) = (destination, position(of: stream.name), job.counters)
        var replacement = try await threads.run { () throws(JobFailure) in
            try Replacement.begin(
                stream, with: rows, keepsOthers: keepsOthers, at: position, destination: destination, counters: before)
        }
        var rest = rows[...]
        while !rest.isEmpty {
            try Task.checkCancellation()
            let batch = nextBatch(rest)
            rest = rest.dropFirst(batch.count)
            let (source, current) = (source, replacement.position)
            let next = try await threads.run { () throws(JobFailure) in
                let lines = try source.lines(of: batch, in: stream, storage: destination.storage)
                return try destination.extendReplacement(of: stream.name, at: current, with: lines)
            }
            replacement.position = next
            replacement.counters.rows += batch.count
            replacement.counters.bytes += next.length - current.length
            let (id, shown) = (job.id, replacement.counters)
            store.withState { $0.show(shown, of: id) }
            try await keepPace(batch.count)
        }
        let finished = replacement.position
        try await threads.run { () throws(JobFailure) in
            try destination.finishReplacement(of: stream.name, at: finished)
        }
        positions[stream.name] = finished
        if let cursor = rows.last?.cursor {
            cursors.advance(stream.name, to: cursor)
        } else if !keepsOthers {
            cursors.rewind(stream.name)
        }
        job.checkpointed(replacement.counters, finishedStream: true, at: now())
        try await commit([
            .position(job.connection, stream: stream.name, finished), .cursors(job.connection, cursors), .job(job),
        ])
        try await reconcileFiles()
    }

    /// The rows up to the next checkpoint. A checkpoint is never between two rows with the same cursor value, because the
    /// cursor could not say which of them are done.
    private func nextBatch(_ rows: ArraySlice<SourceRow>) -> ArraySlice<SourceRow> {
        let size = definition.pace.rowsPerSecond.map { min(5000, max(50, $0 / 10)) } ?? 5000
        var batch = rows.prefix(size)
        while let last = batch.last?.cursor, batch.endIndex < rows.endIndex, rows[batch.endIndex].cursor == last {
            batch = rows[rows.startIndex...batch.endIndex]
        }
        return batch
    }

    private mutating func keepPace(_ rows: Int) async throws {
        rowsMoved += rows
        try await pause(untilElapsed: definition.pace.elapsedMilliseconds(forRows: rowsMoved))
    }
}
