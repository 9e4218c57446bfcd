package import Journal
package import Policy
internal import Synchronization

// Leases that outlive the process.
extension LeaseTable {
    /// The leases that `disk` remembers, kept there from now on. An error means that nobody knows which there are.
    ///
    /// `responseTimeout` is how long a request may take where an older gateway did not write that down.
    ///
    /// Where the disk does not take leases the table begins all the same, and refuses new ones until it does. `warn` gets
    /// lines for the operator, from any thread. Close the table's journal at the end.
    package static func restored(
        from disk: any JournalStorage, matrix: ConcurrencyMatrix, responseTimeout: Duration, now: Int64,
        warn: @escaping @Sendable (String) -> Void
    ) throws(JournalError) -> (leases: LeaseTable, journal: LeaseJournal) {
        let entries = try LeaseJournal.recover(from: disk, warn: warn)
        let journal = LeaseJournal(disk: disk, warn: warn)
        let leases = LeaseTable(journal: journal)
        for entry in entries { leases.restore(entry, matrix: matrix, responseTimeout: responseTimeout, now: now) }
        // The first thing in the new file is what was in the old one, which stays until then.
        do { try journal.start() } catch { throw .disk(error) }
        return (leases, journal)
    }

    /// A lease with a job is held; of one without nobody knows whether its job began.
    func restore(_ entry: LeaseJournalRecord, matrix: ConcurrencyMatrix, responseTimeout: Duration = .zero, now: Int64)
    {
        let serial = nextSerial()
        // A kind that the policy does not name is kept apart from everything: see `ConcurrencyMatrix.excludes`.
        let kind = matrix.kind(named: entry.kind) ?? LeaseKind(index: .max, name: entry.kind, lifetime: .job)
        shard(of: entry.key).records.withLock { records in
            var lease = LeaseEntry(
                serial: serial, kind: LeaseKind(index: kind.index, name: kind.name, lifetime: .job),
                family: entry.family,
                state: entry.job == nil ? .uncertain : .held, job: entry.job, since: min(entry.since, now),
                revision: serial)
            // The answer may have come, and the process died before it was noted.
            lease.traceID = entry.traceID
            lease.isAccepted = entry.job == nil
            lease.origin = entry.origin
            lease.origin.responseTimeout = entry.origin.responseTimeout ?? responseTimeout
            lease.isGuess = entry.isGuess
            _ = records.add(entry.key, lease)
        }
    }
}
