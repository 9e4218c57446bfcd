package import Journal
internal import Synchronization
internal import Transport

/// The leases on disk.
///
/// A crash loses no lease whose request went upstream, because a lease is confirmed before its request is sent. A crash
/// may lose a job's id or a lease's end; the gateway learns both again from the upstream.
package final class LeaseJournal: Sendable {
    /// The disk cannot store the lease now.
    package typealias Unavailable = RecordJournal.Unavailable

    private let records: RecordJournal
    /// The greatest bound of the generations that was appended, and its position.
    private let generationBound = Mutex<(bound: UInt64, position: UInt64)>((0, 0))

    /// The name of the one file that holds all leases of a gateway.
    static let fileName = "leases.journal"
    /// The key of the one record that holds the bound of the generations. Serial numbers of leases begin at 1.
    private static let generationsKey: UInt64 = 0

    /// A file below `minCompaction` bytes is not compacted. `warn` gets lines for the operator, from any thread. `salt`
    /// returns the random number of each new file.
    init(
        disk: any JournalStorage, minCompaction: Int = 1 << 20,
        salt: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }, warn: @escaping @Sendable (String) -> Void
    ) {
        records = RecordJournal(
            disk: disk, name: Self.fileName, consequence: "requests that need a lease get 503",
            minCompaction: minCompaction, salt: salt, warn: warn)
    }

    /// The leases that `disk` holds, in the order in which they began. Throws if the leases are unknown.
    ///
    /// `generationBound` is at least the generation of each lease that the disk ever held.
    ///
    /// Forgetting a current lease is worse than keeping an ended one, so a damaged record does not discard the others.
    static func recover(
        from disk: any JournalStorage, warn: @Sendable (String) -> Void
    ) throws(JournalError) -> (leases: [LeaseJournalRecord], generationBound: UInt64) {
        var leases: [UInt64: LeaseJournalRecord] = [:]
        var bound: UInt64 = 0
        for record in try RecordJournal.records(in: fileName, on: disk, loss: "leases", warn: warn) {
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

    var usage: Usage { Usage(isAvailable: records.isAvailable, fileBytes: records.fileBytes) }

    /// Whether the disk can store leases.
    package var isAvailable: Bool { records.isAvailable }

    /// The size of the journal file.
    package var fileBytes: Int { records.fileBytes }

    /// Queues a change for writing and returns its position. Never waits.
    func append(_ change: LeaseChange) -> UInt64 {
        let record = change.record()
        switch change {
        case .held(let entry): return records.set(entry.serial, record)
        case .freed(let serial): return records.remove(serial, record)
        // Of two bounds that are appended at the same time, the lower one may come second.
        case .generations(let bound):
            return generationBound.withLock { greatest in
                if bound > greatest.bound { greatest = (bound, records.set(Self.generationsKey, record)) }
                return greatest.position
            }
        }
    }

    /// Suspends until the change at `position`, and all earlier changes, are on disk. Throws if the disk cannot store
    /// them now.
    func durable(_ position: UInt64) async throws(Unavailable) { try await records.durable(position) }

    /// Whether the change at `position` is on disk, for tests without the journal's thread.
    func isDurableForTest(_ position: UInt64) -> Bool { records.isDurableForTest(position) }

    /// See ``RecordJournal/failLateWaiters(now:)``.
    func failLateWaiters(now: Instant) { records.failLateWaiters(now: now) }

    /// Writes the current leases to a new file, which also shows whether the disk works, and starts the journal's thread.
    func start() throws(SystemError) { try records.start() }

    /// Writes all pending changes and ends the thread. Blocks. Leases that are reserved later are refused.
    package func close() { records.close() }

    /// Schedules another attempt to write after a failure.
    func retry() { records.retry() }

    /// Writes all changes that have been appended so far, in a test without the journal's thread.
    func writePending() { records.writePending() }
}
