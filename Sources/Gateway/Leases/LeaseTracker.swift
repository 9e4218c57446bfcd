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
    /// The bound of all generations that is in the journal.
    private let generationBound = Atomic<UInt64>(0)
    /// The position of that bound in the journal.
    private let boundPosition = Atomic<UInt64>(0)
    let journal: LeaseJournal?
    /// The leases of jobs, by organization.
    let running = RunningJobs()

    init(journal: LeaseJournal?) { self.journal = journal }

    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// Whether there are uncertain leases that last only for their request. Such a request may still be at work.
    var hasUncertainRequests: Bool { uncertainRequests.load(ordering: .relaxed) > 0 }

    /// A lease became uncertain. If it lasts only for its request, that request may still be at work.
    func becameUncertain(_ lease: LeaseEntry) {
        if lease.kind.lifetime == .request { uncertainRequests.wrappingAdd(1, ordering: .relaxed) }
    }

    /// A lease began. Returns the position in the journal of what must be on the disk before its request is sent: the lease, or only
    /// the bound of its generation if it lasts only for its request.
    func began(_ key: LeaseKey, _ lease: LeaseEntry) -> UInt64 {
        if let journal { boundGenerations(lease.generation, journal) }
        guard lease.kind.lifetime == .job else { return boundPosition.load(ordering: .relaxed) }
        count.wrappingAdd(1, ordering: .relaxed)
        guard let journal else { return 0 }
        return journal.append(.held(LeaseJournalRecord(key, lease)))
    }

    /// The lease got another job, or lost its job.
    func changed(_ key: LeaseKey, _ lease: LeaseEntry) {
        guard lease.kind.lifetime == .job else { return }
        _ = journal?.append(.held(LeaseJournalRecord(key, lease)))
    }

    /// Keeps a bound of all generations on disk, so that they grow even if the time of day is set back while no process runs. The
    /// bound is ahead by a minute, so that few leases have to write one.
    private func boundGenerations(_ generation: UInt64, _ journal: LeaseJournal) {
        let bound = generationBound.load(ordering: .acquiring)
        guard generation > bound else { return }
        let ahead = generation + 60_000
        // First on its way to the disk: another thread that sees the bound relies on it, and waits for its position.
        boundPosition.max(journal.append(.generations(upTo: ahead)), ordering: .relaxed)
        generationBound.store(ahead, ordering: .releasing)
    }

    /// An earlier process gave generations up to `generation`; the new file must keep that bound.
    func skipGenerations(upTo generation: UInt64) {
        guard let journal, generation > 0 else { return }
        generationBound.store(generation, ordering: .relaxed)
        _ = journal.append(.generations(upTo: generation))
    }

    func ended(_ key: LeaseKey, _ lease: LeaseEntry) {
        guard lease.kind.lifetime == .job else {
            if lease.state == .uncertain { uncertainRequests.wrappingSubtract(1, ordering: .relaxed) }
            return
        }
        count.wrappingSubtract(1, ordering: .relaxed)
        running.end(lease.serial, on: key)
        _ = journal?.append(.freed(lease.serial))
    }
}

extension LeaseJournalRecord {
    init(_ key: LeaseKey, _ lease: LeaseEntry) {
        self.init(
            serial: lease.serial, generation: lease.generation, key: key, kind: lease.kind.name, family: lease.family,
            since: lease.since, job: lease.job, traceID: lease.traceID, isGuess: lease.isGuess,
            hadGuess: lease.hadGuess, origin: lease.origin, isDraining: lease.state == .draining,
            isSettling: lease.state == .settling, owner: lease.owner)
    }
}
