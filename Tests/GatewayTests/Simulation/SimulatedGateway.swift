import Journal
import Policy
import Synchronization
import TestSupport
import Transport

@testable import Gateway

/// The real admission code of one process, put together as the gateway does it, and what a crash leaves of it.
struct SimulatedGateway {
    private(set) var disk = MemoryDisk()
    private(set) var journal: LeaseJournal
    private(set) var leases: LeaseTable
    private(set) var limiter = RateLimiter(shardCount: 1)
    private var admission: MemoryAdmission
    var polls = JobPollSchedule()
    let mutation: Mutation?

    init(_ mutation: Mutation?) {
        self.mutation = mutation
        journal = Self.journal(disk)
        leases = LeaseTable(shardCount: 1, journal: mutation == .forgetsToJournal ? nil : journal)
        admission = MemoryAdmission(limiter: limiter, leases: leases, records: IdempotencyTable(capacityBytes: 1 << 20))
        journal.writePending()
    }

    private static func journal(_ disk: MemoryDisk) -> LeaseJournal {
        LeaseJournal(disk: disk, minCompaction: 4000, salt: { 7 }) { _ in }
    }

    mutating func admit(_ request: inout AdmissionRequest, now: Moment) -> AdmissionOutcome {
        if mutation == .chargesBeforeItDecides, let claim = request.lease {
            var charged = request.limits
            let isCharged = limiter.take(&charged, now: now.instant.nanoseconds)
            if isCharged, leases.conflict(of: claim, now: now) == nil {
                limiter.refund(&charged, now: now.instant.nanoseconds)
            }
        }
        return admission.admit(&request, now: now)
    }

    func refund(_ limits: inout RateLimitBatch, now: Instant) {
        if mutation == .refundsTwice {
            var again = limits
            limiter.refund(&again, now: now.nanoseconds)
        }
        limiter.refund(&limits, now: now.nanoseconds)
    }

    /// Whether a request with this lease may be sent.
    func isDurable(_ position: UInt64) -> Bool {
        mutation == .sendsBeforeDurable || mutation == .forgetsToJournal || journal.isDurableForTest(position)
    }

    /// All leases, in the order in which they began.
    var entries: [(key: LeaseKey, lease: LeaseEntry)] {
        leases.shards.flatMap { shard in
            shard.records.withLock { records in
                records.leases.flatMap { key, record in record.entries.map { (key, $0) } }
            }
        }.sorted { $0.lease.serial < $1.lease.serial }
    }

    func entries(on key: LeaseKey) -> [LeaseEntry] {
        leases.shard(of: key).records.withLock { $0.leases[key]?.entries ?? [] }
    }

    func queue(on key: LeaseKey) -> [QueuedClaim] {
        leases.shard(of: key).records.withLock { $0.leases[key]?.queue ?? [] }
    }

    /// The process is killed, or the machine loses power, and another process starts with what the disk has.
    mutating func restart(
        from found: MemoryDisk, matrix: ConcurrencyMatrix, responseTimeout: Duration, now: Moment
    ) throws(JournalError) {
        disk = found
        let recovered = try LeaseJournal.recover(from: disk) { _ in }
        journal = Self.journal(disk)
        leases = LeaseTable(shardCount: 1, journal: mutation == .forgetsToJournal ? nil : journal)
        if mutation != .forgetsGenerationBound { leases.skipGenerations(upTo: recovered.generationBound) }
        for entry in recovered.leases where mutation != .dropsNamelessLeases || entry.job != nil {
            leases.restore(entry, matrix: matrix, responseTimeout: responseTimeout, now: now)
        }
        journal.writePending()
        limiter = RateLimiter(shardCount: 1)
        admission = MemoryAdmission(limiter: limiter, leases: leases, records: IdempotencyTable(capacityBytes: 1 << 20))
        polls = JobPollSchedule()
    }

    /// Writes the journal. Returns the disk that a loss of power at its operation number `number` of this call would leave.
    func write(crashingAt number: Int, _ random: SeededRandom) -> MemoryDisk? {
        let (disk, first) = (disk, disk.operations)
        let left = Mutex<MemoryDisk?>(nil)
        disk.before { operation in
            guard operation == first + number else { return }
            var random = random
            left.withLock { $0 = disk.crashed(&random) }
        }
        journal.writePending()
        disk.before { _ in }
        return left.withLock { $0 }
    }
}
