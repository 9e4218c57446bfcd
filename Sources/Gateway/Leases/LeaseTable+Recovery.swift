package import Journal
package import Policy
internal import Synchronization
internal import Transport

// Leases that survive the process.
extension LeaseTable {
    /// The leases that `disk` holds, with the journal that keeps them there. Throws if the leases are unknown.
    ///
    /// `responseTimeout` is used for leases in which an older gateway did not store it.
    ///
    /// If the disk cannot be written, the table starts anyway and refuses new leases until writing works. `warn` gets
    /// lines for the operator, from any thread. Close the table's journal at the end.
    package static func restored(
        from disk: any JournalStorage, matrix: ConcurrencyMatrix, responseTimeout: Duration, now: Moment,
        warn: @escaping @Sendable (String) -> Void
    ) throws(JournalError) -> (leases: LeaseTable, journal: LeaseJournal) {
        let recovered = try LeaseJournal.recover(from: disk, warn: warn)
        let journal = LeaseJournal(disk: disk, warn: warn)
        let leases = LeaseTable(journal: journal)
        leases.continues(after: recovered.generationBound, now: now)
        for entry in recovered.leases {
            leases.restore(entry, matrix: matrix, responseTimeout: responseTimeout, now: now)
        }
        // The new file starts with all leases of the old file, which is kept until the new one is complete.
        do { try journal.start() } catch { throw .disk(error) }
        return (leases, journal)
    }

    /// Adds a lease of an earlier process. With a job it is held; without one it is uncertain, because its job may have
    /// started.
    func restore(_ entry: LeaseJournalRecord, matrix: ConcurrencyMatrix, responseTimeout: Duration = .zero, now: Moment)
    {
        let serial = nextSerial()
        // A kind that the policies do not have excludes everything: see `ConcurrencyMatrix.excludes`.
        let kind =
            matrix.kind(named: entry.kind)
            ?? LeaseKind(
                index: .max, name: entry.kind, lifetime: .job, settleTime: LeaseKind.defaultSettleTime)
        shard(of: entry.key).records.withLock { records in
            records.skipGenerations(upTo: entry.generation)
            var lease = LeaseEntry(
                serial: serial, generation: entry.generation,
                kind: LeaseKind(index: kind.index, name: kind.name, lifetime: .job, settleTime: kind.settleTime),
                family: entry.family,
                state: entry.job == nil ? .uncertain : .held, job: entry.job,
                since: min(entry.since, now.epochMilliseconds),
                revision: serial, beganAt: now.begin(ofEpochMilliseconds: entry.since))
            if entry.isDraining { lease.state = .draining }
            if entry.isSettling {
                // The settle time begins again, because nobody knows how long the process was gone.
                lease.state = .settling
                lease.settlesUntil = now.instant + kind.settleTime
            }
            lease.owner = entry.owner
            // The process may have crashed between the response and its record.
            lease.traceID = entry.traceID
            lease.isAccepted = entry.job == nil
            lease.origin = entry.origin
            lease.origin.responseTimeout = entry.origin.responseTimeout ?? responseTimeout
            lease.isGuess = entry.isGuess
            lease.hadGuess = entry.hadGuess
            _ = records.tracker.running.begin(serial, on: entry.key, of: entry.owner?.token)
            _ = records.add(entry.key, lease)
        }
    }
}
