internal import Synchronization

/// Where async code waits for the journal.
final class JournalCommitter: Sendable {
    private let journal: ConnectorJournal
    private let timeout: Duration
    private let stopping = Atomic(false)
    private let watch = Mutex(Watch())

    /// The answers somebody waits for, oldest first.
    private struct Watch {
        var waiting: [(since: ContinuousClock.Instant, reply: Reply)] = []
        var isArmed = false
    }

    init(_ journal: ConnectorJournal, timeout: Duration) {
        self.journal = journal
        self.timeout = timeout
    }

    /// The service stops: nobody should try a failed commit again.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func prepareToStop() { stopping.store(true, ordering: .relaxed) }

    /// Makes `records` durable and part of the state; `false` if that was not possible, or not in time.
    func commit(_ records: [JournalRecord]) async -> Bool {
        await withCheckedContinuation { continuation in
            let reply = Reply(continuation)
            if !append(records, reply) { reply.send(false) }
        }
    }

    /// For callers that append under the state's lock, so that the order of records is the order of decisions.
    /// Returns at once; `reply` hears the outcome, and `then` before it, whenever it comes. `false` after ``close()``:
    /// then neither hears anything.
    func append(
        _ records: [JournalRecord], _ reply: Reply, then: @escaping @Sendable (Bool) -> Void = { _ in }
    ) -> Bool {
        startWatching(reply)
        return journal.append(records) { committed in
            then(committed)
            reply.send(committed)
        }
    }

    /// Appends what nobody waits for; it becomes durable in order with everything else.
    func post(_ records: [JournalRecord]) { _ = journal.append(records) { _ in } }

    /// Flushes the journal and ends its thread. Blocks.
    func close() { journal.close() }

    private func startWatching(_ reply: Reply) {
        let mustArm = watch.withLock { watch in
            watch.waiting.append((.now, reply))
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
        let (late, goesOn) = watch.withLock { watch in
            let limit = ContinuousClock.now - timeout
            let late = watch.waiting.prefix { $0.since <= limit }.map(\.reply)
            watch.waiting.removeAll { $0.reply.isSent || $0.since <= limit }
            watch.isArmed = !watch.waiting.isEmpty
            return (late, watch.isArmed)
        }
        for reply in late { reply.send(false) }
        if goesOn { arm() }
    }
}

/// An answer that is given once, whoever is first.
final class Reply: Sendable {
    private let continuation: Mutex<CheckedContinuation<Bool, Never>?>

    init(_ continuation: CheckedContinuation<Bool, Never>) { self.continuation = Mutex(continuation) }

    var isSent: Bool { continuation.withLock { $0 == nil } }

    func send(_ value: Bool) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(returning: value)
    }
}
