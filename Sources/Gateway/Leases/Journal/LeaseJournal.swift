internal import Journal
internal import Synchronization
internal import Transport

/// The leases on disk. They survive a crash of the process, and of the machine if the disk honours `fdatasync`.
///
/// Any thread can append a change without waiting. The journal's own thread writes the changes in groups, with one
/// `fdatasync` for each group. The journal also keeps the records of all current leases in memory. After a failed write
/// the file is no longer trusted: no lease is confirmed, and every second the journal writes all records to a new file
/// until a write succeeds.
///
/// A crash loses no lease whose request went upstream, because a lease is confirmed before its request is sent. A crash
/// may lose a job's id or a lease's end; the gateway learns both again from the upstream.
package final class LeaseJournal: Sendable {
    /// The disk cannot store the lease now.
    package struct Unavailable: Error, Equatable {}

    fileprivate struct State {
        var queue: JournalState
        /// The greatest bound of the generations that was appended.
        var generationBound: UInt64 = 0
        var isClosed = false
        /// The operator has been told that the journal cannot be written.
        var isFailureReported = false
        var waiters: [Waiter] = []
        var sleeper: CheckedContinuation<Void, Never>?
    }

    fileprivate struct Waiter {
        let position: UInt64
        let deadline: Instant
        let continuation: CheckedContinuation<Bool, Never>
    }

    private let state: Mutex<State>
    /// Held during disk operations, by the journal's thread only.
    private let writer: Mutex<JournalFileWriter>
    private let warn: @Sendable (String) -> Void
    private let thread = Mutex<WorkThread?>(nil)

    /// The name of the one file that holds all leases of a gateway.
    static let fileName = "leases.journal"
    /// The longest time that a request waits for its lease to be on disk.
    private static let maxWait = Duration.seconds(10)

    /// A file below `minCompaction` bytes is not compacted. `warn` gets lines for the operator, from any thread. `salt`
    /// returns the random number of each new file.
    init(
        disk: any JournalStorage, minCompaction: Int = 1 << 20,
        salt: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }, warn: @escaping @Sendable (String) -> Void
    ) {
        state = Mutex(State(queue: JournalState(minCompaction: minCompaction)))
        writer = Mutex(JournalFileWriter(disk: disk, name: Self.fileName, salt: salt))
        self.warn = warn
    }

    /// The leases that `disk` holds, in the order in which they began. Throws if the leases are unknown.
    ///
    /// `generationBound` is at least the generation of each lease that the disk ever held.
    ///
    /// Forgetting a current lease is worse than keeping an ended one, so a damaged record does not discard the others.
    static func recover(
        from disk: any JournalStorage, warn: @Sendable (String) -> Void
    ) throws(JournalError) -> (leases: [LeaseJournalRecord], generationBound: UInt64) {
        guard let contents = try JournalContents.read(fileName, from: disk) else { return ([], 0) }
        if contents.damagedBytes > 0 {
            warn("\(fileName): skipped \(contents.damagedBytes) damaged bytes: leases may be missing; check the disk")
        }
        if contents.tornBytes > 0 { warn("\(fileName): dropped \(contents.tornBytes) bytes of an incomplete write") }
        var leases: [UInt64: LeaseJournalRecord] = [:]
        var bound: UInt64 = 0
        for record in contents.records {
            switch LeaseChange(record.span) {
            case .held(let entry):
                leases[entry.serial] = entry
                bound = max(bound, entry.generation)
            case .generations(let earlier): bound = max(bound, earlier)
            case .freed(let serial): leases[serial] = nil
            case nil: warn("\(fileName): skipped a record of another version, so leases may be missing")
            }
        }
        return (leases.values.sorted { $0.serial < $1.serial }, bound)
    }

    /// The state of the journal, for metrics.
    package struct Usage: Sendable {
        var isAvailable = true
        var fileBytes = 0
    }

    var usage: Usage { state.withLock { Usage(isAvailable: $0.queue.isAvailable, fileBytes: $0.queue.fileBytes) } }

    /// Whether the disk can store leases.
    package var isAvailable: Bool { state.withLock { $0.queue.isAvailable } }

    /// The size of the journal file.
    package var fileBytes: Int { state.withLock { $0.queue.fileBytes } }

    /// Queues a change for writing and returns its position. Never waits.
    func append(_ change: LeaseChange) -> UInt64 {
        let record = change.record()
        let (position, sleeper) = state.withLock { state in
            let position =
                switch change {
                case .held(let entry): state.queue.set(entry.serial, record)
                case .freed(let serial): state.queue.remove(serial, record)
                // Of two bounds that are appended at the same time, the lower one may come second.
                case .generations(let bound): state.bound(bound, record)
                }
            return (position, state.queue.hasWork ? state.sleeper.take() : nil)
        }
        sleeper?.resume()
        return position
    }

    /// Suspends until the change at `position`, and all earlier changes, are on disk. Throws if the disk cannot store
    /// them now.
    func durable(_ position: UInt64) async throws(Unavailable) {
        let isDurable = await withCheckedContinuation { continuation in
            let outcome = state.withLock { state -> Bool? in
                if state.queue.isDurable(position) { return true }
                guard state.queue.isAvailable, !state.isClosed else { return false }
                state.waiters.append(
                    Waiter(position: position, deadline: .now() + Self.maxWait, continuation: continuation))
                return nil
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
        if !isDurable { throw Unavailable() }
    }

    /// Whether the change at `position` is on disk, for tests without the journal's thread.
    func isDurableForTest(_ position: UInt64) -> Bool { state.withLock { $0.queue.isDurable(position) } }

    /// Resumes the waiters that have waited ``maxWait`` for a disk that hangs; they get ``Unavailable``. Call it about
    /// once a second, from any thread.
    func failLateWaiters(now: Instant) {
        let late = state.withLock { state in
            let late = state.waiters.filter { $0.deadline <= now }
            if !late.isEmpty { state.waiters.removeAll { $0.deadline <= now } }
            return late
        }
        for waiter in late { waiter.continuation.resume(returning: false) }
    }
}

// The journal's thread.
extension LeaseJournal {
    /// Writes the current leases to a new file, which also shows whether the disk works, and starts the thread.
    func start() throws(SystemError) {
        writePending()
        let loop = try EventLoop(index: -3)
        loop.every(.seconds(1)) { [self] in retry() }
        Task(executorPreference: loop) {
            while await self.waitForWork() { self.writePending() }
            loop.stop()
        }
        thread.withLock { $0 = WorkThread(name: "journal") { loop.run() } }
    }

    /// Writes all pending changes and ends the thread. Blocks. Leases that are reserved later are refused.
    package func close() {
        let sleeper = state.withLock { state in
            state.isClosed = true
            return state.sleeper.take()
        }
        sleeper?.resume()
        thread.withLock { $0.take() }?.join()
    }

    /// Schedules another attempt to write after a failure.
    func retry() {
        let sleeper = state.withLock { state in
            state.queue.mend()
            return state.queue.hasWork ? state.sleeper.take() : nil
        }
        sleeper?.resume()
    }

    /// Waits until there is something to write. Returns `false` when the journal is closed and everything is written.
    private func waitForWork() async -> Bool {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.queue.hasWork || state.isClosed { return true }
                state.sleeper = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        return state.withLock { !$0.isClosed || $0.queue.hasWork }
    }

    /// Writes all changes that have been appended so far. Runs on the journal's thread, or on the caller's while there
    /// is none.
    func writePending() {
        let step = state.withLock { $0.queue.beginStep() }
        var failure: SystemError?
        let fileBytes = writer.withLock { writer in
            do throws(SystemError) { try writer.write(step) } catch { failure = error }
            return writer.bytes
        }
        let (waiters, isNews) = state.withLock { state in
            state.queue.ended(step, succeeded: failure == nil, fileBytes: fileBytes)
            let isNews = state.isFailureReported != (failure != nil)
            state.isFailureReported = failure != nil
            return (state.takeWaiters(), isNews)
        }
        for (continuation, isDurable) in waiters { continuation.resume(returning: isDurable) }
        guard isNews else { return }
        if let failure {
            warn(
                "\(Self.fileName) cannot be written (\(failure)): check the disk; requests that need a lease get 503 until then"
            )
        } else {
            warn("\(Self.fileName) can be written again")
        }
    }
}

extension LeaseJournal.State {
    /// The key of the one record that holds the bound of the generations. Serial numbers of leases begin at 1.
    private static let generationsKey: UInt64 = 0

    /// Returns the position of the record; 0 if the journal has a greater bound already.
    fileprivate mutating func bound(_ bound: UInt64, _ record: [UInt8]) -> UInt64 {
        guard bound > generationBound else { return 0 }
        generationBound = bound
        return queue.set(Self.generationsKey, record)
    }

    /// Removes and returns the waiters whose change is on disk, or cannot be written.
    fileprivate mutating func takeWaiters() -> [(CheckedContinuation<Bool, Never>, isDurable: Bool)] {
        var answered: [(CheckedContinuation<Bool, Never>, isDurable: Bool)] = []
        waiters.removeAll { waiter in
            let isDurable = queue.isDurable(waiter.position)
            guard isDurable || !queue.isAvailable else { return false }
            answered.append((waiter.continuation, isDurable))
            return true
        }
        return answered
    }
}
