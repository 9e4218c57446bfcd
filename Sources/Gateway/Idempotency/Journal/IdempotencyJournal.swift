internal import Journal
internal import Transport

/// The records of requests with a key on disk.
///
/// A record is confirmed before its request is sent, so a crash loses no request that the upstream may have executed. A crash may
/// lose the response; then the record is uncertain.
package final class IdempotencyJournal: Sendable {
    private let records: RecordJournal

    /// The name of the one file that holds all records of a gateway.
    static let fileName = "idempotency.journal"

    /// `warn` gets lines for the operator, from any thread. `salt` returns the random number of each new file.
    init(
        disk: any JournalStorage, minCompaction: Int = 1 << 20,
        salt: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }, warn: @escaping @Sendable (String) -> Void
    ) {
        records = RecordJournal(
            disk: disk, name: Self.fileName, consequence: "requests with an Idempotency-Key get 503",
            minCompaction: minCompaction, salt: salt, warn: warn)
    }

    /// The records that `disk` holds, oldest first. Throws if they are unknown.
    static func recover(
        from disk: any JournalStorage, warn: @Sendable (String) -> Void
    ) throws(JournalError) -> [IdempotencyJournalRecord] {
        var records: [UInt64: IdempotencyJournalRecord] = [:]
        for record in try RecordJournal.records(in: fileName, on: disk, loss: "idempotency records", warn: warn) {
            switch IdempotencyChange(record.span) {
            case .kept(let entry): records[entry.serial] = entry
            case .dropped(let serial): records[serial] = nil
            case nil: warn("\(fileName): skipped a record of another version, so records may be missing")
            }
        }
        return records.values.sorted { ($0.expiresAt, $0.serial) < ($1.expiresAt, $1.serial) }
    }

    /// Whether the disk can store records.
    var isAvailable: Bool { records.isAvailable }

    /// Whether so much waits for the disk that only small records should be added. More would break the journal off, for all
    /// organizations.
    var isBehind: Bool { records.pendingBytes > JournalState.maxPending / 4 }

    /// The size of the journal file.
    var fileBytes: Int { records.fileBytes }

    /// Queues a change for writing and returns its position. Never waits.
    func append(_ change: IdempotencyChange) -> UInt64 {
        switch change {
        case .kept(let entry): records.set(entry.serial, change.record())
        case .dropped(let serial): records.remove(serial, change.record())
        }
    }

    /// Suspends until the change at `position`, and all earlier changes, are on disk. Throws if the disk cannot store
    /// them now.
    func durable(_ position: UInt64) async throws(RecordJournal.Unavailable) { try await records.durable(position) }

    /// Whether the change at `position` is on disk, for tests without the journal's thread.
    func isDurableForTest(_ position: UInt64) -> Bool { records.isDurableForTest(position) }

    /// See ``RecordJournal/failLateWaiters(now:)``.
    func failLateWaiters(now: Instant) { records.failLateWaiters(now: now) }

    /// Writes the current records to a new file, which also shows whether the disk works, and starts the journal's thread.
    func start() throws(SystemError) { try records.start() }

    /// Writes all pending changes and ends the thread. Blocks. Later requests with a key are refused.
    package func close() { records.close() }

    /// Schedules another attempt to write after a failure.
    func retry() { records.retry() }

    /// Writes all changes that have been appended so far, in a test without the journal's thread.
    func writePending() { records.writePending() }
}
