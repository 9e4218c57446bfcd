internal import Synchronization
package import Transport

/// Records by key in one file, which survive a crash of the process, and of the machine if the disk honours `fdatasync`.
///
/// Any thread can append a change without waiting. The journal's own thread writes the changes in groups, with one
/// `fdatasync` for each group. The journal also keeps all current records in memory. After a failed write the file is no
/// longer trusted: no change is confirmed, and every second the journal writes all records to a new file until a write
/// succeeds.
package final class RecordJournal: Sendable {
    /// The disk cannot store the change now.
    package struct Unavailable: Error, Equatable {
        package init() {}
    }

    fileprivate struct State {
        var queue: JournalState
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
    private let name: String
    private let consequence: String
    private let warn: @Sendable (String) -> Void
    private let thread = Mutex<WorkThread?>(nil)

    /// The longest time that a request waits for its change to be on disk.
    private static let maxWait = Duration.seconds(10)

    /// A file below `minCompaction` bytes is not compacted. `consequence` is what follows while the file cannot be written, and
    /// `warn` gets lines for the operator, from any thread. `salt` returns the random number of each new file.
    package init(
        disk: any JournalStorage, name: String, consequence: String, minCompaction: Int = 1 << 20,
        salt: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }, warn: @escaping @Sendable (String) -> Void
    ) {
        state = Mutex(State(queue: JournalState(minCompaction: minCompaction)))
        writer = Mutex(JournalFileWriter(disk: disk, name: name, salt: salt))
        self.name = name
        self.consequence = consequence
        self.warn = warn
    }

    /// The records in the file `name`, in the order in which they were written. Throws if they are unknown.
    ///
    /// A damaged record does not discard the others. `loss` says what may be missing then.
    package static func records(
        in name: String, on disk: any JournalStorage, loss: String, warn: @Sendable (String) -> Void
    ) throws(JournalError) -> [ArraySlice<UInt8>] {
        guard let contents = try JournalContents.read(name, from: disk) else { return [] }
        if contents.damagedBytes > 0 {
            warn("\(name): skipped \(contents.damagedBytes) damaged bytes: \(loss) may be missing; check the disk")
        }
        if contents.tornBytes > 0 { warn("\(name): dropped \(contents.tornBytes) bytes of an incomplete write") }
        return contents.records
    }

    /// Whether the disk can store changes.
    package var isAvailable: Bool { state.withLock { $0.queue.isAvailable } }

    /// The bytes that wait for the disk.
    package var pendingBytes: Int { state.withLock { $0.queue.pendingBytes } }

    /// The size of the file.
    package var fileBytes: Int { state.withLock { $0.queue.fileBytes } }

    /// The record of `key` is `record` from now on. Queues the change for writing and returns its position. Never waits.
    package func set(_ key: UInt64, _ record: [UInt8]) -> UInt64 { append { $0.set(key, record) } }

    /// `key` has no record from now on, as `record` says. Queues the change for writing and returns its position. Never waits.
    package func remove(_ key: UInt64, _ record: [UInt8]) -> UInt64 { append { $0.remove(key, record) } }

    private func append(_ change: (inout JournalState) -> UInt64) -> UInt64 {
        let (position, sleeper) = state.withLock { state in
            let position = change(&state.queue)
            return (position, state.queue.hasWork ? state.sleeper.take() : nil)
        }
        sleeper?.resume()
        return position
    }

    /// Suspends until the change at `position`, and all earlier changes, are on disk. Throws if the disk cannot store
    /// them now.
    package func durable(_ position: UInt64) async throws(Unavailable) {
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
    package func isDurableForTest(_ position: UInt64) -> Bool { state.withLock { $0.queue.isDurable(position) } }

    /// Resumes the waiters that have waited ``maxWait`` for a disk that hangs; they get ``Unavailable``. Call it about
    /// once a second, from any thread.
    package func failLateWaiters(now: Instant) {
        let late = state.withLock { state in
            let late = state.waiters.filter { $0.deadline <= now }
            if !late.isEmpty { state.waiters.removeAll { $0.deadline <= now } }
            return late
        }
        for waiter in late { waiter.continuation.resume(returning: false) }
    }
}

// The journal's thread.
extension RecordJournal {
    /// Writes the current records to a new file, which also shows whether the disk works, and starts the thread.
    package func start() throws(SystemError) {
        writePending()
        let loop = try EventLoop(index: -3)
        loop.every(.seconds(1)) { [self] in retry() }
        Task(executorPreference: loop) {
            while await self.waitForWork() { self.writePending() }
            loop.stop()
        }
        thread.withLock { $0 = WorkThread(name: "journal") { loop.run() } }
    }

    /// Writes all pending changes and ends the thread. Blocks. Later changes are not confirmed.
    package func close() {
        let sleeper = state.withLock { state in
            state.isClosed = true
            return state.sleeper.take()
        }
        sleeper?.resume()
        thread.withLock { $0.take() }?.join()
    }

    /// Schedules another attempt to write after a failure.
    package func retry() {
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
    package func writePending() {
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
            warn("\(name) cannot be written (\(failure)): check the disk; \(consequence) until then")
        } else {
            warn("\(name) can be written again")
        }
    }
}

extension RecordJournal.State {
    /// Removes and returns the waiters whose change is on disk, or cannot be written.
    fileprivate mutating func takeWaiters() -> [(CheckedContinuation<Bool, Never>, isDurable: Bool)] {
        var resumed: [(CheckedContinuation<Bool, Never>, isDurable: Bool)] = []
        waiters.removeAll { waiter in
            let isDurable = queue.isDurable(waiter.position)
            guard isDurable || !queue.isAvailable else { return false }
            resumed.append((waiter.continuation, isDurable))
            return true
        }
        return resumed
    }
}
