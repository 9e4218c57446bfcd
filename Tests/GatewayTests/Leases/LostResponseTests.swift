import Policy
import Synchronization
import Testing

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job, settleTime: .seconds(15))
private let export = LeaseKind(index: 1, name: "export", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync, export], conflicts: [[0], [1]])
private let key = LeaseKey(organization: "o", connection: "c")

private func job(
    _ type: String = "sync", _ status: String = "succeeded", id: String = "job_1", startedAt: Int64? = 0,
    createdAt: Int64? = nil
) -> LeaseJob {
    LeaseJob(id: id, type: type, status: status, startedAt: startedAt, createdAt: createdAt)
}

/// What a lease whose response was lost leaves to whoever waits for its job, such as the record of an idempotency key. Taking a job for
/// nothing would let its request be executed again.
@Suite("Lost responses")
struct LostResponseTests {
    private let table: LeaseTable

    init() { self.init(table: LeaseTable()) }

    private init(table: LeaseTable) { self.table = table }

    /// A lease whose response was lost, and somebody who waits for its job.
    private func lose(
        _ origin: LeaseOrigin = LeaseOrigin(), kind: LeaseKind = sync, now: Moment = 0
    ) throws -> LeaseWaiter {
        var lease = try table.reserve(key, kind: kind, from: origin, matrix: matrix, now: now)
        let waiter = table.follow(lease)
        lease.forwarded()
        lease.leaveUncertain()
        return waiter
    }

    /// A poll listed these jobs, when the request could not be at work any more.
    private func list(_ jobs: [LeaseJob], now: Moment = 1000) {
        guard let lease = table.polledLeases().first else { return }
        let revision = table.revision()
        _ = table.resolve(key, lease.serial, jobs: jobs, mayFree: true, asOf: revision, now: now)
    }

    @Test("Lost response: a list without any job shows that no work began")
    func nothing() throws {
        let waiter = try lose()
        list([])
        #expect(waiter.current == .nothing)
    }

    @Test("Lost response: an ended job of the lease's kind is the job")
    func ended() throws {
        let waiter = try lose()
        list([job()])
        #expect(waiter.current == .job(job()))
    }

    @Test(
        "Lost response: an ended job of another type, or without a start, may be the job",
        arguments: [job("reset"), job(startedAt: nil), job("reset", "failed", startedAt: nil)])
    func ambiguous(ended: LeaseJob) throws {
        let waiter = try lose()
        list([ended])
        #expect(waiter.current == .unknown)
        #expect(table.isEmpty)
    }

    @Test("Lost response: a job that ended before the request was sent is somebody else's")
    func old() throws {
        let waiter = try lose()
        list([job(startedAt: -60_001)])
        #expect(waiter.current == .nothing)
    }

    @Test("Lost response: a job that was cancelled before it started is bounded by its creation")
    func neverStarted() throws {
        let weeksAgo = job("sync", "cancelled", startedAt: nil, createdAt: -3_000_000_000)
        let waiter = try lose()
        list([weeksAgo])
        #expect(waiter.current == .nothing && table.isEmpty)
        let other = try lose()
        let own = job("sync", "cancelled", startedAt: nil, createdAt: 1)
        list([own, weeksAgo])
        #expect(other.current == .job(own))
    }

    @Test("Lost response: a job without times may be the job once, and is older than the requests after that")
    func withoutTimes() throws {
        for status in ["failed", "cancelled"] {
            let old = job("sync", status, id: status, startedAt: nil)
            let waiter = try lose()
            list([old])
            #expect(waiter.current == .unknown)
            table.removeSettled(now: Moment(16_000).instant)
            let next = try lose(now: 20_000)
            list([old], now: 21_000)
            #expect(next.current == .nothing && table.isEmpty)
        }
    }

    @Test(
        "Lost response: the job of an earlier lease is never that of a later one", arguments: ["failed", "cancelled"])
    func predecessor(status: String) throws {
        let earlier = job("sync", status, id: "job_0", startedAt: 20_000)
        for later in [nil, job(startedAt: 60_000)] {
            try table.reserve(key, kind: sync, matrix: matrix, now: 10_000).bind(
                job("sync", "running", id: "job_0", startedAt: 20_000), now: 20_000)
            table.jobShown(key, earlier, asOf: table.revision(), now: 40_000)
            let waiter = try lose(now: 60_000)
            list(later.map { [$0, earlier] } ?? [earlier], now: 61_000)
            #expect(waiter.current == later.map { .job($0) } ?? .nothing)
            #expect(table.isEmpty)
        }
    }

    @Test("Lost response: of two lost responses at a time, nobody can tell whose the job is")
    func sideBySide() throws {
        for ended in [job(), job("sync", "cancelled")] {
            let table = LeaseTable()
            let test = LostResponseTests(table: table)
            let (one, other) = (try test.lose(), try test.lose(kind: export))
            for lease in table.polledLeases().sorted(by: { $0.kind < $1.kind }) {
                _ = table.resolve(key, lease.serial, jobs: [ended], mayFree: true, asOf: table.revision(), now: 1000)
            }
            #expect(one.current == .unknown && other.current == .unknown)
        }
    }

    @Test("Lost response: a retry may start an old job again")
    func retry() throws {
        let waiter = try lose(LeaseOrigin(mayRestart: true))
        list([job(startedAt: -1_000_000)])
        #expect(waiter.current == .unknown)
    }

    @Test("Lost response: a running job of another type, which is not listed after its end, may have been the job")
    func guess() throws {
        let waiter = try lose()
        list([job("reset", "running")])
        #expect(waiter.current == nil)
        table.jobShown(key, job("reset"), asOf: table.revision(), now: 2000)
        list([], now: 3000)
        #expect(waiter.current == .unknown)
    }

    @Test(
        "Lost response: a cancelled job is the job at once, or may be it, and its connection settles",
        arguments: [("sync", LeaseWaiter.Outcome.job(job("sync", "cancelled"))), ("reset", .unknown)])
    func cancelled(type: String, outcome: LeaseWaiter.Outcome) throws {
        let waiter = try lose()
        list([job(type, "cancelled")])
        #expect(waiter.current == outcome)
        #expect(table.usage().settling == 1)
        table.removeSettled(now: Moment(16_000).instant)
        #expect(table.isEmpty)
    }

    @Test("Lost response: of two jobs that may be the one, none is it", arguments: ["succeeded", "cancelled"])
    func several(status: String) throws {
        let waiter = try lose()
        let other = LeaseJob(id: "job_2", type: "sync", status: status, startedAt: 0)
        list([other, job()])
        #expect(waiter.current == .unknown)
        // If one of them was cancelled, its work may go on. It is not called the job of the lease after a restart either.
        #expect(table.usage().settling == (status == "cancelled" ? 1 : 0))
        if status == "cancelled" {
            let lease = table.shard(of: key).records.withLock { $0.leases[key]?.entries.first }
            let work = IdempotencyWork(
                lease: key, generation: try #require(lease).generation, kind: "sync", family: .aitronos)
            #expect(table.follow(work, openedAt: nil)?.current == nil)
            table.removeSettled(now: Moment(16_000).instant)
        }
        #expect(table.isEmpty)
    }

    @Test("Lost response: a job that another lease had, or that was its response, is not the job")
    func others() throws {
        let lease = try table.reserve(key, kind: sync, matrix: matrix, now: 0)
        lease.bind(job("sync", "running"), now: 0)
        table.jobEnded(key, jobID: "job_1", now: 1)
        let waiter = try lose()
        list([job()])
        #expect(waiter.current == .nothing)
        let second = LeaseJob(id: "job_2", type: "sync", status: "succeeded", startedAt: 0)
        let own = try lose()
        list([job(), second])
        #expect(own.current == .job(second))
        // A request that may start an old job again may have done that.
        for (origin, outcome) in [
            (LeaseOrigin(), LeaseWaiter.Outcome.nothing), (LeaseOrigin(mayRestart: true), .unknown),
        ] {
            let third = try lose(origin)
            list([job(), second])
            #expect(third.current == outcome)
        }
    }

    @Test("Lost response: after a restart, a job that is older than the request may be that of a forgotten lease")
    func afterRestart() throws {
        table.continues(after: 0, now: 30_000)
        for (startedAt, since, isOwn) in [(29_000, 30_000, false), (31_000, 30_000, true), (89_000, 90_000, true)] {
            var lease = try table.reserve(key, kind: sync, matrix: matrix, now: Moment(since))
            let waiter = table.follow(lease)
            lease.forwarded()
            lease.leaveUncertain()
            let ended = LeaseJob(id: "job_\(startedAt)", type: "sync", status: "failed", startedAt: Int64(startedAt))
            list([ended], now: Moment(since + 1000))
            #expect(waiter.current == (isOwn ? .job(ended) : .unknown))
        }
    }

    @Test("Lost response: a cancelled job that may be the job settles, and is not taken for it after a restart either")
    func cancelledOverRestart() throws {
        let owner = LeaseOwner(subject: "s", token: "o/t", operation: "r", fingerprint: nil)
        table.restore(
            LeaseJournalRecord(
                serial: 1, generation: 5, key: key, kind: "sync", family: .aitronos, since: 0,
                job: job("sync", "cancelled"), isGuess: true, hadGuess: true, isSettling: true, owner: owner),
            matrix: matrix, now: 0)
        let work = IdempotencyWork(lease: key, generation: 5, kind: "sync", family: .aitronos)
        let waiter = try #require(table.follow(work, openedAt: nil))
        table.jobShown(key, job("sync", "cancelled"), asOf: table.revision(), now: 1000)
        #expect(waiter.current == nil && table.usage().settling == 1)
        table.removeSettled(now: Moment(15_000).instant)
        #expect(waiter.current == .unknown && table.isEmpty)
    }

    @Test("Lost response: in front of the service of this process, a job that ended meanwhile may be the job")
    func inProcess() throws {
        for isEnded in [true, false] {
            let waiter = try lose()
            if isEnded { table.jobEnded(key, jobID: "job_1", now: 1) }
            table.reconcile(running: [], asOf: table.revision(), now: 2)
            #expect(waiter.current == (isEnded ? .unknown : .nothing))
        }
    }
}
