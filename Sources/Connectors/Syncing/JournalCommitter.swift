internal import Synchronization

/// Where async code waits for the journal.
final class JournalCommitter: Sendable {
    private let journal: ConnectorJournal
    private let timeout: Duration
    private let stopping = Atomic(false)
    private let watch = Mutex(Watch())

    /// The answers somebody waits for, oldest first.
    private struct Watch {
        var waiting: [(deadline: ContinuousClock.Instant, reply: Reply<CommitOutcome>)] = []
        var isArmed = false
    }

    /// `timeout` is how long a request waits for the disk.
    init(_ journal: ConnectorJournal, timeout: Duration) {
        self.journal = journal
        self.timeout = timeout
    }

    /// The service stops: nobody should try a failed commit again.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func prepareToStop() { stopping.store(true, ordering: .relaxed) }

    /// Commits a change of a running job. Waits for as long as the disk takes: a job whose checkpoint may be on its way
    /// to the disk must neither go on nor write it again.
    func commit(_ change: JournalChange) async -> CommitOutcome {
        await withCheckedContinuation { continuation in
            let isQueued = journal.append(change) { continuation.resume(returning: $0) }
            if !isQueued { continuation.resume(returning: .notCommitted) }
        }
    }

    /// Commits a change that a request asks for. For callers that append under the state's lock, so that the order of
    /// records is the order of decisions. Returns at once, and `false` where the change is not queued: then nobody hears
    /// anything.
    ///
    /// `reply` hears the outcome. When the request has waited too long, a change that still waits is withdrawn; of one
    /// that is with the disk the outcome is unknown. `then` hears before `reply` what became of the change in the end,
    /// whenever that is.
    func append(
        _ change: JournalChange, _ reply: Reply<CommitOutcome>, then: @escaping @Sendable (CommitOutcome) -> Void
    ) -> Bool {
        let deadline = ContinuousClock.now + timeout
        let isQueued = journal.append(change, until: deadline) { outcome in
            then(outcome)
            reply.send(outcome)
        }
        if isQueued { startWatching(reply, until: deadline) }
        return isQueued
    }

    /// Appends what nobody waits for; it becomes durable in order with everything else.
    func post(_ change: JournalChange) { _ = journal.append(change) { _ in } }

    /// Flushes the journal and ends its thread. Blocks.
    func close() { journal.close() }

    private func startWatching(_ reply: Reply<CommitOutcome>, until deadline: ContinuousClock.Instant) {
        let mustArm = watch.withLock { watch in
            watch.waiting.append((deadline, reply))
            defer { watch.isArmed = true }
            return !watch.isArmed
        }
        if mustArm { arm() }
    }

    /// One timer for all, while somebody waits; it also forgets the replies that were sent.
    private func arm() {
        Task { [weak self, timeout] in
            try? await Task.sleep(for: timeout / 10)
            self?.sweep()
        }
    }

    private func sweep() {
        let now = ContinuousClock.now
        // This answers those whose change still waits. The others that are late have theirs with the disk.
        journal.withdraw(at: now)
        let (late, isArmed) = watch.withLock { watch in
            let late = watch.waiting.filter { $0.deadline <= now }.map(\.reply)
            watch.waiting.removeAll { $0.reply.isSent || $0.deadline <= now }
            watch.isArmed = !watch.waiting.isEmpty
            return (late, watch.isArmed)
        }
        for reply in late { reply.send(.unknown) }
        if isArmed { arm() }
    }
}

/// An answer that is given once, whoever is first.
final class Reply<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value, Never>?>

    init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = Mutex(continuation) }

    var isSent: Bool { continuation.withLock { $0 == nil } }

    func send(_ value: Value) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(returning: value)
    }
}
