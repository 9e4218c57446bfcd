import Journal
import Policy
import Synchronization
import TestSupport
import Transport

@testable import Gateway

/// The real admission code of one process, put together as the gateway does it, and what a crash leaves of it.
struct SimulatedGateway {
    /// What does not change with a restart.
    struct Setup {
        let mutation: Mutation?
        /// Whether the upstream is in the same process. Then the leases need no journal: a crash ends both.
        let isLocal: Bool
        /// The memory for records, in bytes.
        let recordBytes: Int
    }

    /// Both journals are in one folder.
    private(set) var disk = MemoryDisk()
    private(set) var leaseJournal: LeaseJournal
    private(set) var recordJournal: IdempotencyJournal
    private(set) var leases: LeaseTable
    private(set) var records: IdempotencyTable
    private(set) var limiter = RateLimiter(shardCount: 1)
    private var admission: MemoryAdmission
    var polls = JobPollSchedule()
    let setup: Setup

    init(_ setup: Setup) {
        self.setup = setup
        (leaseJournal, recordJournal) = (Self.leaseJournal(disk), Self.recordJournal(disk))
        leases = Self.leases(setup, leaseJournal)
        records = Self.records(setup, recordJournal)
        admission = MemoryAdmission(limiter: limiter, leases: leases, records: records)
        writeJournals()
    }

    private static func leaseJournal(_ disk: MemoryDisk) -> LeaseJournal {
        LeaseJournal(disk: disk, minCompaction: 4000, salt: { 7 }) { _ in }
    }

    private static func recordJournal(_ disk: MemoryDisk) -> IdempotencyJournal {
        IdempotencyJournal(disk: disk, minCompaction: 4000, salt: { 7 }) { _ in }
    }

    private static func leases(_ setup: Setup, _ journal: LeaseJournal) -> LeaseTable {
        let hasJournal = !setup.isLocal && setup.mutation != .forgetsToJournal
        return LeaseTable(shardCount: 1, journal: hasJournal ? journal : nil)
    }

    private static func records(_ setup: Setup, _ journal: IdempotencyJournal) -> IdempotencyTable {
        IdempotencyTable(capacityBytes: setup.recordBytes, shardCount: 1, journal: journal)
    }

    mutating func admit(_ request: inout AdmissionRequest, now: Moment) -> AdmissionOutcome {
        if setup.mutation == .chargesBeforeItDecides, let claim = request.lease {
            var charged = request.limits
            let isCharged = limiter.take(&charged, now: now.instant.nanoseconds)
            if isCharged, leases.conflict(of: claim, now: now) == nil {
                limiter.refund(&charged, now: now.instant.nanoseconds)
            }
        }
        return admission.admit(&request, now: now)
    }

    func refund(_ limits: inout RateLimitBatch, now: Instant) {
        if setup.mutation == .refundsTwice {
            var again = limits
            limiter.refund(&again, now: now.nanoseconds)
        }
        limiter.refund(&limits, now: now.nanoseconds)
    }

    /// Whether a request with a lease at this position of the journal may be sent.
    func isDurable(_ position: UInt64) -> Bool {
        setup.mutation == .sendsBeforeDurable || setup.mutation == .forgetsToJournal
            || leaseJournal.isDurableForTest(position)
    }

    /// Whether a request with this record may be sent.
    func isDurable(_ record: OpenRecord) -> Bool { setup.mutation == .sendsBeforeRecorded || record.isDurableForTest }

    /// Whether the disk works, as far as the gateway knows.
    var isDiskAvailable: Bool { leaseJournal.isAvailable && recordJournal.isAvailable }

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

    func changeQueue(on key: LeaseKey, _ change: (inout [QueuedClaim]) -> Void) {
        leases.shard(of: key).records.withLock { records in
            if records.leases[key] != nil { change(&records.leases[key, default: ConnectionLeases()].queue) }
        }
    }

    /// The leases that a cap counts.
    func running(_ cap: JobCap, _ owner: LeaseOwner) -> Int {
        entries.count { _, lease in
            lease.kind.lifetime == .job && (cap.scope == .organization || lease.owner?.token == owner.token)
        }
    }

    /// The process is killed, or the machine loses power, and another process starts with what the disk has. `running` are the jobs
    /// of the upstream in the same process.
    mutating func restart(
        from found: MemoryDisk, matrix: ConcurrencyMatrix, responseTimeout: Duration, running: [RunningJob], now: Moment
    ) throws(JournalError) {
        disk = found
        let recovered = try LeaseJournal.recover(from: disk) { _ in }
        let recoveredRecords = try IdempotencyJournal.recover(from: disk) { _ in }
        (leaseJournal, recordJournal) = (Self.leaseJournal(disk), Self.recordJournal(disk))
        leases = Self.leases(setup, leaseJournal)
        records = Self.records(setup, recordJournal)
        leases.continues(
            after: setup.mutation == .forgetsGenerationBound ? 0 : recovered.generationBound, now: now)
        for entry in recovered.leases where setup.mutation != .dropsNamelessLeases || entry.job != nil {
            leases.restore(entry, matrix: matrix, responseTimeout: responseTimeout, now: now)
        }
        if setup.mutation != .forgetsRecords {
            for entry in recoveredRecords { records.restore(entry, leases, now: now) }
        }
        if setup.isLocal {
            for job in running {
                guard let kind = matrix.kind(named: job.job.type) ?? matrix.kinds.first else { continue }
                leases.rebuild(job.key, kind: kind, job: job.job, now: now)
            }
            leases.reconcile(running: running, asOf: leases.revision(), now: now)
            records.follow(leases)
        }
        writeJournals()
        limiter = RateLimiter(shardCount: 1)
        admission = MemoryAdmission(limiter: limiter, leases: leases, records: records)
        polls = JobPollSchedule()
    }

    // The threads of the journals.

    func writeJournals() {
        leaseJournal.writePending()
        recordJournal.writePending()
    }

    /// A disk that failed may work again.
    func retryJournals() {
        leaseJournal.retry()
        recordJournal.retry()
    }

    /// Writes one of the journals. Returns the disk that a loss of power at its operation number `number` of this call would leave.
    func write(leases writesLeases: Bool, crashingAt number: Int, _ random: SeededRandom) -> MemoryDisk? {
        let (disk, first) = (disk, disk.operations)
        let left = Mutex<MemoryDisk?>(nil)
        disk.before { operation in
            guard operation == first + number else { return }
            var random = random
            left.withLock { $0 = disk.crashed(&random) }
        }
        if writesLeases { leaseJournal.writePending() } else { recordJournal.writePending() }
        disk.before { _ in }
        return left.withLock { $0 }
    }
}
