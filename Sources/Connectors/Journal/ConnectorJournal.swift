internal import Foundation
internal import Journal
internal import Synchronization

/// The durable history of the service: an append-only file, written by a thread of its own.
///
/// Commits are grouped: all changes that are appended during one fsync become durable with the next one. Then the thread hands
/// the records to `apply`, in the order in which they were appended, and after that tells each appender. So the state in memory
/// always equals the durable state, and a change that could not be written has no effect.
///
/// The queue is bounded, and a change in it can be withdrawn. Once the thread has taken a change, the disk has it: while
/// the disk hangs, the outcome is unknown.
///
/// The lease journal uses `JournalState` instead. A lease is true in memory before it is durable, so after a failure all
/// leases are written to a new file. Here a group that fails is refused and cut off. The next group can succeed at once,
/// also on a full disk, which has no room for a new file.
final class ConnectorJournal: Sendable {
    /// Applies committed records to the state, in order. Called on the journal's thread.
    typealias Apply = @Sendable ([[JournalRecord]]) -> Void

    private struct Entry: Sendable {
        let change: JournalChange
        /// When the change may be withdrawn, if it still waits; `nil`: never.
        let deadline: ContinuousClock.Instant?
        let report: @Sendable (CommitOutcome) -> Void
    }

    /// How much can wait for the disk. A change beyond it is refused at once. One organization's longest change leaves room
    /// for another one's.
    static let queueLimits = QueueLimits(elements: 8192, bytes: 2 * JournalChange.maxBytes)
    /// How much one fsync covers, unless a single change is longer. So each group fits into a frame.
    private static let groupLimits = QueueLimits(elements: 8192, bytes: JournalFrame.limit / 8)

    private let queue: BlockingQueue<Entry>
    private let ended = BlockingQueue<Void>()

    /// Opens the journal that `recovery` has read, and starts its thread.
    ///
    /// `snapshot` returns the records that set the whole state. It is called on the journal's thread, so it returns the
    /// state after the last committed frame.
    init(
        _ files: JournalFiles, _ recovery: JournalRecovery, compactAfter threshold: Int,
        queueLimits: QueueLimits = queueLimits, random: @escaping @Sendable () -> UInt64,
        warn: @escaping @Sendable (String) -> Void, apply: @escaping Apply,
        snapshot: @escaping @Sendable () -> [JournalRecord]
    ) throws {
        let opened = try ConnectorJournalWriter(files, recovery, compactAfter: threshold, random: random)
        queue = BlockingQueue(limits: queueLimits, size: { $0.change.payload.count }, owner: { $0.change.organization })
        let thread = Thread { [queue, ended] in
            var writer = opened
            while true {
                let group = queue.receive(atMost: Self.groupLimits)
                guard !group.isEmpty else { break }
                let outcome = writer.commit(group.map(\.change.payload), warn: warn)
                if outcome == .committed { apply(group.map(\.change.records)) }
                for entry in group { entry.report(outcome) }
                writer.compactIfDue(snapshot, warn: warn)
            }
            ended.close()
        }
        thread.name = "journal"
        thread.start()
    }

    deinit { queue.close() }

    /// Queues `change`. Returns `false` if the change is too long, the queue has no room for its
    /// organization, or the journal is closed. Never waits.
    ///
    /// `report` is called once with the outcome, and must be short. If `append` returns `false`, `report` is not called.
    ///
    /// Here `unknown` means that the disk failed, and that the change could not be cut off again. A crash can then make
    /// the change durable. The journal cuts it off before it commits another change.
    func append(
        _ change: JournalChange, until deadline: ContinuousClock.Instant? = nil,
        report: @escaping @Sendable (CommitOutcome) -> Void
    ) -> Bool {
        guard change.payload.count <= JournalChange.maxBytes else { return false }
        return queue.send(Entry(change: change, deadline: deadline, report: report))
    }

    /// Withdraws the changes whose deadline has passed, and tells that they were not committed.
    func withdraw(at now: ContinuousClock.Instant) {
        let late = queue.withdraw { entry in entry.deadline.map { $0 <= now } ?? false }
        for entry in late { entry.report(.notCommitted) }
    }

    /// Commits the queued changes, then ends the thread. Blocks, for 10 s at most if the disk hangs.
    func close() {
        queue.close()
        _ = ended.receive(atMost: QueueLimits(elements: 1), until: Date(timeIntervalSinceNow: 10))
    }
}
