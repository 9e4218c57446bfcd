internal import Journal
internal import Synchronization
internal import Transport

/// The leases on disk: what outlives a crash of the process and, as far as the disk is honest, of the machine.
///
/// Changes are appended from any thread and never wait; a thread of its own writes them in groups, one `fdatasync` each. It
/// also keeps, in memory, the records of all leases that live. When the disk fails, what it holds is no longer trusted:
/// from then on no lease is confirmed, and every second the whole is written to a new file, until that succeeds.
/// A crash in between loses no lease whose request went upstream: those were confirmed before. It may lose a job's id or a
/// lease's end, both of which the upstream tells again.
package final class LeaseJournal: Sendable {
    /// The disk does not take the lease.
    package struct Unavailable: Error, Equatable {}

    fileprivate struct State {
        var queue: JournalState
        var isClosed = false
        /// The operator knows that the disk does not take leases.
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
    /// Held while the disk is busy, by the journal's thread and nobody else.
    private let writer: Mutex<JournalFileWriter>
    private let warn: @Sendable (String) -> Void
    private let thread = Mutex<WorkThread?>(nil)

    /// The file of all leases of a gateway.
    static let fileName = "leases.journal"
    /// How long a request waits for the disk.
    private static let maxWait = Duration.seconds(10)

    /// A file below `minCompaction` bytes is not worth writing anew. `warn` gets a line for the operator, from any thread.
    /// `salt` gives each new file its random number.
    init(
        disk: any JournalStorage, minCompaction: Int = 1 << 20,
        salt: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }, warn: @escaping @Sendable (String) -> Void
    ) {
        state = Mutex(State(queue: JournalState(minCompaction: minCompaction)))
        writer = Mutex(JournalFileWriter(disk: disk, name: Self.fileName, salt: salt))
        self.warn = warn
    }

    /// The leases that `disk` remembers, in the order they began. An error means that nobody knows which there are.
    ///
    /// To forget a lease that is still there is worse than to keep one that is gone: a damaged record costs that record only.
    static func recover(
        from disk: any JournalStorage, warn: @Sendable (String) -> Void
    ) throws(JournalError) -> [LeaseJournalRecord] {
        guard let contents = try JournalContents.read(fileName, from: disk) else { return [] }
        if contents.damagedBytes > 0 {
            warn("\(fileName): \(contents.damagedBytes) damaged bytes passed over; leases may be missing")
        }
        if contents.tornBytes > 0 { warn("\(fileName): \(contents.tornBytes) bytes of a torn write dropped") }
        var leases: [UInt64: LeaseJournalRecord] = [:]
        for record in contents.records {
            switch LeaseChange(record.span) {
            case .held(let entry): leases[entry.serial] = entry
            case .freed(let serial): leases[serial] = nil
            case nil: warn("\(fileName): a record of another version passed over; leases may be missing")
            }
        }
        return leases.values.sorted { $0.serial < $1.serial }
    }

    /// How the journal stands, for metrics.
    package struct Usage: Sendable {
        var isAvailable = true
        var fileBytes = 0
    }

    var usage: Usage { state.withLock { Usage(isAvailable: $0.queue.isAvailable, fileBytes: $0.queue.fileBytes) } }

    /// Whether the disk takes leases.
    package var isAvailable: Bool { state.withLock { $0.queue.isAvailable } }

    /// The size of the file.
    package var fileBytes: Int { state.withLock { $0.queue.fileBytes } }

    /// Takes note of a change and returns its position. Never waits.
    func append(_ change: LeaseChange) -> UInt64 {
        let record = change.record()
        let (position, sleeper) = state.withLock { state in
            let position =
                switch change {
                case .held(let entry): state.queue.set(entry.serial, record)
                case .freed(let serial): state.queue.remove(serial, record)
                }
            return (position, state.queue.hasWork ? state.sleeper.take() : nil)
        }
        sleeper?.resume()
        return position
    }

    /// Suspends until the change at `position`, and all before it, is on the disk. Throws when the disk does not take it now.
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

    /// Whether the change at `position` is on the disk, for tests that have no thread.
    func isDurableForTest(_ position: UInt64) -> Bool { state.withLock { $0.queue.isDurable(position) } }

    /// Sends away whoever has waited too long for a disk that hangs. From any thread, now and then.
    func sendAway(now: Instant) {
        let late = state.withLock { state in
            let late = state.waiters.filter { $0.deadline <= now }
            if !late.isEmpty { state.waiters.removeAll { $0.deadline <= now } }
            return late
        }
        for waiter in late { waiter.continuation.resume(returning: false) }
    }
}

// The journal's own thread.
extension LeaseJournal {
    /// Writes the leases there are to a new file, which is also what tells whether the disk works, and starts the thread.
    func start() throws(SystemError) {
        step()
        let loop = try EventLoop(index: -3)
        loop.every(.seconds(1)) { [self] in mend() }
        Task(executorPreference: loop) {
            while await self.rest() { self.step() }
            loop.stop()
        }
        thread.withLock { $0 = WorkThread(name: "journal") { loop.run() } }
    }

    /// Writes what there is, and ends the thread. Blocks; leases that are asked for later are refused.
    package func close() {
        let sleeper = state.withLock { state in
            state.isClosed = true
            return state.sleeper.take()
        }
        sleeper?.resume()
        thread.withLock { $0.take() }?.join()
    }

    /// A disk that failed may work again.
    func mend() {
        let sleeper = state.withLock { state in
            state.queue.mend()
            return state.queue.hasWork ? state.sleeper.take() : nil
        }
        sleeper?.resume()
    }

    /// Waits until there is something to write; `false` at the end.
    private func rest() async -> Bool {
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

    /// Writes everything that was appended by now. On the journal's thread, or where there is none.
    func step() {
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
                "\(Self.fileName) cannot be written (\(failure)): requests that need a lease get 503 until it can")
        } else {
            warn("\(Self.fileName) is written again")
        }
    }
}

extension LeaseJournal.State {
    /// Those whose change is on the disk or will not be.
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
