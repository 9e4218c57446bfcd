internal import Policy
internal import Synchronization

/// Tracks the leases of all shards: counts those that last for a job, and writes each beginning, change of job, and end to the
/// journal if there is one.
///
/// Call its methods under the lock of the lease's shard, so that the journal has the changes of one lease in order.
final class LeaseTracker: Sendable {
    private let count = Atomic<Int>(0)
    /// The number of uncertain leases that last only for their request.
    private let uncertainRequests = Atomic<Int>(0)
    let journal: LeaseJournal?

    init(journal: LeaseJournal?) { self.journal = journal }

    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// Whether there are uncertain leases that last only for their request. Such a request may still be at work.
    var hasUncertainRequests: Bool { uncertainRequests.load(ordering: .relaxed) > 0 }

    /// A lease became uncertain. If it lasts only for its request, that request may still be at work.
    func becameUncertain(_ lease: LeaseEntry) {
        if lease.kind.lifetime == .request { uncertainRequests.wrappingAdd(1, ordering: .relaxed) }
    }

    /// A lease began. Returns its position in the journal.
    func began(_ key: LeaseKey, _ lease: LeaseEntry) -> UInt64 {
        guard lease.kind.lifetime == .job else { return 0 }
        count.wrappingAdd(1, ordering: .relaxed)
        return journal?.append(.held(LeaseJournalRecord(key, lease))) ?? 0
    }

    /// The lease got another job, or lost its job.
    func changed(_ key: LeaseKey, _ lease: LeaseEntry) {
        guard lease.kind.lifetime == .job else { return }
        _ = journal?.append(.held(LeaseJournalRecord(key, lease)))
    }

    func ended(_ lease: LeaseEntry) {
        guard lease.kind.lifetime == .job else {
            if lease.state == .uncertain { uncertainRequests.wrappingSubtract(1, ordering: .relaxed) }
            return
        }
        count.wrappingSubtract(1, ordering: .relaxed)
        _ = journal?.append(.freed(lease.serial))
    }
}

extension LeaseJournalRecord {
    init(_ key: LeaseKey, _ lease: LeaseEntry) {
        self.init(
            serial: lease.serial, key: key, kind: lease.kind.name, family: lease.family, since: lease.since,
            job: lease.job, traceID: lease.traceID, isGuess: lease.isGuess, origin: lease.origin)
    }
}
