package import Journal
internal import Transport

// Records that survive the process.
extension IdempotencyTable {
    /// The records that `disk` holds, with the journal that keeps them there. Throws if the records are unknown.
    ///
    /// `leases` are those after the restart: they tell what became of requests that were in progress. If the disk cannot be written,
    /// the table starts anyway and refuses new records until writing works. Close the table's journal at the end.
    package static func restored(
        from disk: any JournalStorage, capacityBytes: Int, leases: LeaseTable, now: Moment,
        warn: @escaping @Sendable (String) -> Void
    ) throws(JournalError) -> IdempotencyTable {
        let recovered = try IdempotencyJournal.recover(from: disk, warn: warn)
        let journal = IdempotencyJournal(disk: disk, warn: warn)
        let table = IdempotencyTable(capacityBytes: capacityBytes, journal: journal)
        for entry in recovered { table.restore(entry, leases, now: now) }
        // The new file starts with all records of the old file, which is kept until the new one is complete.
        do { try journal.start() } catch { throw .disk(error) }
        return table
    }

    /// Adds a record of an earlier process. One that was in progress is uncertain: its request may have been sent.
    func restore(_ entry: IdempotencyJournalRecord, _ leases: LeaseTable, now: Moment) {
        let left = entry.expiresAt.subtractingReportingOverflow(now.epochMilliseconds).partialValue
        guard left > 0 else { return }
        let end = now.instant + .milliseconds(min(left, Self.maxKeepMilliseconds))
        var record = IdempotencyRecord(
            serial: nextSerial(), organization: entry.organization, fingerprint: entry.fingerprint,
            openedAt: entry.openedAt, expiresAtEpoch: entry.expiresAt, expiresAt: end)
        record.work = entry.work
        record.hasBegun = true
        record.isFromCrash = entry.state.phase == .started
        switch entry.state {
        case .started, .uncertain: record.state = .uncertain
        case .resolved: record.state = entry.state
        case .completed(let response):
            record.state = entry.state
            record.cost += cost(of: response)
        }
        if record.state.phase == .uncertain, let work = entry.work {
            record.follower = leases.follow(work, openedAt: record.isFromCrash ? entry.openedAt : nil)
        }
        restore(entry.id, record)
    }

    /// The leases of jobs that run since before this process are known now: records of requests without a lease follow them.
    func follow(_ leases: LeaseTable) {
        changeUncertain { record in
            guard record.follower == nil, record.isFromCrash, let work = record.work else { return }
            record.follower = leases.follow(work, openedAt: record.openedAt)
        }
    }

    /// The longest life that policies can give to a record: 31 days. The time of day may have been set back.
    private static let maxKeepMilliseconds: Int64 = 31 * 86_400_000
}
