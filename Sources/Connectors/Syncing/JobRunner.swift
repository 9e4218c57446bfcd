internal import Synchronization

/// Runs jobs in the background: one task each, and a pool of threads for the blocking parts.
final class JobRunner: Sendable {
    private let store: StateStore
    private let committer: JournalCommitter
    private let storage: any Storage
    private let now: @Sendable () -> Timestamp
    private let threads: BlockingThreadPool
    private let running = Mutex(Running())

    private struct Running {
        var tasks: [String: Task<Void, Never>] = [:]
        var waiting: [String: [Reply<Bool>]] = [:]
        var isStopped = false
    }

    init(
        store: StateStore, committer: JournalCommitter, storage: any Storage, threads: Int,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.store = store
        self.committer = committer
        self.storage = storage
        self.now = now
        self.threads = BlockingThreadPool(count: threads, name: "connector")
    }

    /// Starts or resumes a job that has not ended according to the store. Returns at once.
    func start(_ job: Job) {
        let found = store.withState { state in
            state.index(of: job.connection).map { (state[$0].definition, state[$0].cursors, state[$0].positions) }
        }
        guard let (known, cursors, positions) = found, let definition = known else { return }
        let prepared = JobRun(
            job, of: definition, cursors: cursors, positions: positions, store: store, committer: committer,
            threads: threads,
            storage: storage, now: now)
        running.withLock { running in
            guard !running.isStopped else { return }
            running.tasks[job.id] = Task { [self] in
                var run = prepared
                await run.run()
                finished(job.id)
            }
        }
    }

    /// Wakes a job whose cancellation was accepted, wherever it waits.
    func cancel(_ id: String) { running.withLock { $0.tasks[id] }?.cancel() }

    /// Waits until the runner has finished the job, for `limit` at most.
    func waitForEnd(of id: String, atMost limit: Duration) async {
        _ = await withCheckedContinuation { continuation in
            let reply = Reply<Bool>(continuation)
            let isRunning = running.withLock { running in
                guard running.tasks[id] != nil else { return false }
                running.waiting[id, default: []].append(reply)
                return true
            }
            guard isRunning else { return reply.send(true) }
            Task {
                try? await Task.sleep(for: limit)
                reply.send(false)
            }
        }
    }

    /// Stops all jobs where they are; they resume after the next start. Waits 10 s at most: a disk may hang.
    func stop() async {
        let tasks = running.withLock { running in
            running.isStopped = true
            return running.tasks
        }
        for task in tasks.values { task.cancel() }
        let deadline = ContinuousClock.now + .seconds(10)
        for id in tasks.keys { await waitForEnd(of: id, atMost: max(.zero, deadline - .now)) }
    }

    private func finished(_ id: String) {
        let waiting = running.withLock { running in
            running.tasks[id] = nil
            return running.waiting.removeValue(forKey: id) ?? []
        }
        for reply in waiting { reply.send(true) }
    }
}
