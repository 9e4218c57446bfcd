internal import Policy
internal import Synchronization

/// Counts the leases that last for a job, and writes them to the journal if there is one. It is told when one begins, changes
/// its job, or ends.
///
/// Called under the lock of the lease's shard, so that what the journal has of one lease is in order.
final class LeaseRecorder: Sendable {
    private let count = Atomic<Int>(0)
    private let lingering = Atomic<Int>(0)
    let journal: LeaseJournal?

    init(journal: LeaseJournal?) { self.journal = journal }

    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// Whether there are leases that last for their request only, and whose lost request may still be at work.
    var hasLingering: Bool { lingering.load(ordering: .relaxed) > 0 }

    /// A lease became uncertain: if it lasts for its request only, that request may still be at work.
    func lingers(_ holder: LeaseEntry) {
        if holder.kind.lifetime == .request { lingering.wrappingAdd(1, ordering: .relaxed) }
    }

    /// Returns the journal's position.
    func began(_ key: LeaseKey, _ holder: LeaseEntry) -> UInt64 {
        guard holder.kind.lifetime == .job else { return 0 }
        count.wrappingAdd(1, ordering: .relaxed)
        return journal?.append(.held(LeaseJournalRecord(key, holder))) ?? 0
    }

    /// The lease has another job than before, or none.
    func changed(_ key: LeaseKey, _ holder: LeaseEntry) {
        guard holder.kind.lifetime == .job else { return }
        _ = journal?.append(.held(LeaseJournalRecord(key, holder)))
    }

    func ended(_ holder: LeaseEntry) {
        guard holder.kind.lifetime == .job else {
            if holder.state == .uncertain { lingering.wrappingSubtract(1, ordering: .relaxed) }
            return
        }
        count.wrappingSubtract(1, ordering: .relaxed)
        _ = journal?.append(.freed(holder.serial))
    }
}

extension LeaseJournalRecord {
    init(_ key: LeaseKey, _ holder: LeaseEntry) {
        self.init(
            serial: holder.serial, key: key, kind: holder.kind.name, family: holder.family, since: holder.since,
            job: holder.job, traceID: holder.traceID, isGuess: holder.isGuess, origin: holder.origin)
    }
}
