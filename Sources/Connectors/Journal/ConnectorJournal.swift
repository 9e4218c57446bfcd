internal import Foundation
internal import Synchronization

/// The durable history of the service: an append-only file with a thread of its own.
///
/// Group commit: everything that was appended while the last fsync was under way becomes durable with the next one.
/// The thread then hands the records to `apply` in the order they were appended, and after that tells each appender.
/// So the state in memory is always exactly the durable state, and a record that could not be written leaves no trace.
///
/// Leases group their commits with `JournalState`, which this has no use for: a lease is true in memory before it is durable, so that
/// after a failure all of them have to be written to a new file. Here a group that fails is refused and cut off, and the next one
/// can succeed at once, on a full disk too, where there is no room for a new file.
final class ConnectorJournal: Sendable {
    /// Makes committed records the state, in order; called on the journal's thread.
    typealias Apply = @Sendable ([[JournalRecord]]) -> Void

    private struct Entry: Sendable {
        let records: [JournalRecord]
        let committed: @Sendable (Bool) -> Void
    }

    /// How much one fsync may cover, so that a frame stays far below its limit.
    private static let maxEntries = 8192

    private let mailbox = BlockingQueue<Entry>()
    private let ended = BlockingQueue<Void>()

    /// Opens the journal where `recovery` left it and starts its thread.
    ///
    /// `snapshot` returns the records that set the whole state; it is called on the journal's thread, so that what
    /// it returns is the state after the last committed frame.
    init(
        _ files: JournalFiles, _ recovery: JournalRecovery, compactAfter threshold: Int,
        random: @escaping @Sendable () -> UInt64, warn: @escaping @Sendable (String) -> Void,
        apply: @escaping Apply, snapshot: @escaping @Sendable () -> [JournalRecord]
    ) throws {
        let opened = try JournalWriter(files, recovery, compactAfter: threshold, random: random)
        let thread = Thread { [mailbox, ended] in
            var writer = opened
            while true {
                let entries = mailbox.receive(atMost: Self.maxEntries)
                guard !entries.isEmpty else { break }
                var rest = entries[...]
                while !rest.isEmpty {
                    let group = writer.group(rest) { $0.records }
                    let isCommitted = writer.commit(group.payload, warn: warn)
                    if isCommitted { apply(rest.prefix(group.count).map(\.records)) }
                    for entry in rest.prefix(group.count) { entry.committed(isCommitted) }
                    rest = rest.dropFirst(group.count)
                }
                writer.compactIfDue(snapshot, warn: warn)
            }
            ended.close()
        }
        thread.name = "journal"
        thread.start()
    }

    deinit { mailbox.close() }

    /// Appends `records`, which become durable together or not at all, and returns at once.
    ///
    /// `committed` is told the outcome on the journal's thread and must be short. After `false` the records are not in
    /// the state, nor after a restart, unless the disk is so broken that they cannot even be cut off again.
    /// Returns `false`, and `committed` is not told, once the journal is closed.
    func append(_ records: [JournalRecord], committed: @escaping @Sendable (Bool) -> Void) -> Bool {
        mailbox.send(Entry(records: records, committed: committed))
    }

    /// Commits what was appended, ends the thread and waits for it, unless the disk hangs. Blocks.
    func close() {
        mailbox.close()
        _ = ended.receive(atMost: 1, until: Date(timeIntervalSinceNow: 10))
    }
}
