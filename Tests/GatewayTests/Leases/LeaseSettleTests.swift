import Policy
import TestSupport
import Testing
import Transport

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job, settleTime: .seconds(15))
private let quick = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
private let key = LeaseKey(organization: "org_xyz789", connection: "conn_abc123")

private func leaseJob(_ id: String, _ status: String = "running") -> LeaseJob {
    LeaseJob(id: id, type: "sync", status: status, startedAt: 0, location: "/jobs/\(id)")
}

extension LeaseTable {
    fileprivate func hold(_ id: String = "job_1", now: Moment = 0) throws {
        try reserve(key, kind: sync, family: .airweave, matrix: matrix, now: now).bind(leaseJob(id), now: now)
    }

    fileprivate func conflict(now: Moment) -> LeaseConflict? { conflict(key, kind: sync, matrix: matrix, now: now) }

    fileprivate func show(_ job: LeaseJob, now: Moment) { jobShown(key, job, asOf: revision(), now: now) }
}

/// The time for which a connection stays reserved after an end that nobody witnessed.
@Suite("Lease settle time")
struct LeaseSettleTests {
    private let table = LeaseTable()

    @Test("Lease settle time: a cancelled job reserves its connection for the time of its kind, and 409 says how long")
    func cancelled() throws {
        try table.hold()
        table.show(leaseJob("job_1", "CANCELLED"), now: 1000)
        let conflict = try #require(table.conflict(now: 1000))
        #expect(conflict.state == .settling)
        #expect(conflict.retryAfterSeconds == 15)
        #expect(conflict.job?.id == "job_1")
        #expect(table.conflict(now: 12_300)?.retryAfterSeconds == 4)
        #expect(table.conflict(now: 15_999)?.retryAfterSeconds == 1)
        #expect(table.conflict(now: 16_000) == nil)
        try table.hold("job_2", now: 16_000)
        #expect(table.usage().held == 1)
        #expect(table.usage().settling == 0)
    }

    @Test(
        "Lease settle time: an end that the upstream reports as success or failure frees at once",
        arguments: ["succeeded", "FAILED", "completed"])
    func witnessed(status: String) throws {
        try table.hold()
        table.show(leaseJob("job_1", status), now: 1000)
        #expect(table.conflict(now: 1000) == nil)
        #expect(table.isEmpty)
    }

    @Test("Lease settle time: a job that the upstream does not show any more is an inferred end")
    func vanished() throws {
        try table.hold()
        let serial = try #require(table.polledLeases().first).serial
        table.jobVanished(key, serial, asOf: table.revision(), now: 1000)
        #expect(table.conflict(now: 1000)?.state == .settling)
        #expect(table.conflict(now: 16_000) == nil)
    }

    @Test("Lease settle time: a response whose job is cancelled already settles with that job")
    func cancelledInAnswer() throws {
        try table.reserve(key, kind: sync, matrix: matrix, now: 0).bind(leaseJob("job_1", "cancelled"), now: 10)
        let conflict = try #require(table.conflict(now: 20))
        #expect(conflict.state == .settling)
        #expect(conflict.job?.id == "job_1")
        table.show(leaseJob("job_1", "running"), now: 30)
        #expect(table.conflict(now: 40_000)?.state == .held)
    }

    /// A table with a journal, whose one lease settles since 1,000 ms.
    private func settlingOnDisk() throws -> (table: LeaseTable, journal: LeaseJournal, disk: MemoryDisk) {
        let disk = MemoryDisk()
        let journal = LeaseJournal(disk: disk) { _ in }
        let kept = LeaseTable(shardCount: 1, journal: journal)
        journal.writePending()
        try kept.hold()
        kept.show(leaseJob("job_1", "cancelled"), now: 1000)
        journal.writePending()
        return (kept, journal, disk)
    }

    @Test("Lease settle time: a crash while a job is at work again does not end it")
    func zombieOverCrash() throws {
        let (kept, journal, disk) = try settlingOnDisk()
        let settling = try LeaseJournal.recover(from: disk.killed()) { _ in }.leases
        #expect(settling.map(\.isSettling) == [true])
        kept.show(leaseJob("job_1", "running"), now: 2000)
        journal.writePending()
        let held = try LeaseJournal.recover(from: disk.killed()) { _ in }.leases
        #expect(held.map(\.isSettling) == [false])
    }

    @Test("Lease settle time: after a restart it begins again")
    func restart() throws {
        let (_, _, disk) = try settlingOnDisk()
        for entry in try LeaseJournal.recover(from: disk.killed(), warn: { _ in }).leases {
            table.restore(entry, matrix: matrix, now: 50_000)
        }
        #expect(table.conflict(now: 64_999)?.state == .settling)
        #expect(table.conflict(now: 65_000) == nil)
    }

    @Test("Lease settle time: a cancellation that is accepted late neither prolongs it nor hides that the job goes on")
    func lateCancellation() throws {
        try table.hold()
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        for second in 1...20 {
            table.cancelAccepted(key, jobID: "job_1")
            table.show(leaseJob("job_1", "cancelled"), now: Moment(1000 + second * 500))
        }
        #expect(table.conflict(now: 15_999)?.state == .settling)
        table.show(leaseJob("job_1", "running"), now: 15_999)
        #expect(table.conflict(now: 60_000)?.state == .held)
    }

    @Test("Lease settle time: it holds also if the answer was lost and the job is listed as cancelled")
    func lostAnswer() throws {
        var lease = try table.reserve(key, kind: sync, family: .aitronos, matrix: matrix, now: 0)
        lease.forwarded()
        lease.leaveUncertain()
        let serial = try #require(table.polledLeases().first).serial
        let jobs = [leaseJob("job_1", "cancelled")]
        _ = table.resolve(key, serial, jobs: jobs, mayFree: true, asOf: table.revision(), now: 1000)
        #expect(table.conflict(now: 15_999)?.state == .settling)
        #expect(table.conflict(now: 16_000) == nil)
    }

    @Test("Lease settle time: it holds also if the end is that of a guessed job")
    func guess() throws {
        var lease = try table.reserve(key, kind: sync, family: .aitronos, matrix: matrix, now: 0)
        lease.forwarded()
        lease.leaveUncertain()
        let serial = try #require(table.polledLeases().first).serial
        let running = [leaseJob("job_1")]
        #expect(table.resolve(key, serial, jobs: running, mayFree: true, asOf: table.revision(), now: 10) == .held)
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        #expect(table.resolve(key, serial, jobs: [], mayFree: true, asOf: table.revision(), now: 15_999) == .idle)
        #expect(table.conflict(now: 15_999) != nil)
        #expect(table.resolve(key, serial, jobs: [], mayFree: true, asOf: table.revision(), now: 16_000) == .freed)
        #expect(table.conflict(now: 16_000) == nil)
    }

    @Test("Lease settle time: an event of the service in this process is a witness, also for a cancelled job")
    func event() throws {
        try table.hold()
        table.jobObserved(key, leaseJob("job_1", "cancelled"), now: 1000)
        #expect(table.conflict(now: 1000) == nil)
    }

    @Test("Lease settle time: a job that is at work again is held again, and its real end frees at once")
    func zombie() throws {
        try table.hold()
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        table.show(leaseJob("job_1", "running"), now: 2000)
        #expect(table.conflict(now: 20_000)?.state == .held)
        table.show(leaseJob("job_1", "failed"), now: 21_000)
        #expect(table.conflict(now: 21_000) == nil)
    }

    @Test("Lease settle time: the same end again does not prolong it")
    func again() throws {
        try table.hold()
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        table.show(leaseJob("job_1", "cancelled"), now: 10_000)
        #expect(table.conflict(now: 16_000) == nil)
    }

    @Test("Lease settle time: a kind without one frees at once")
    func none() throws {
        let matrix = ConcurrencyMatrix(kinds: [quick], conflicts: [[0]])
        try table.reserve(key, kind: quick, matrix: matrix, now: 0).bind(leaseJob("job_1"), now: 0)
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        #expect(table.isEmpty)
    }

    @Test("Lease settle time: a jump of the time of day changes nothing")
    func clockJump() throws {
        try table.hold()
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        let far = Moment(epochMilliseconds: 9_000_000_000, instant: Moment(2000).instant)
        #expect(table.conflict(now: far)?.retryAfterSeconds == 14)
        let back = Moment(epochMilliseconds: 0, instant: Moment(16_000).instant)
        #expect(table.conflict(now: back) == nil)
    }

    @Test("Lease settle time: a lease whose time is over leaves no memory behind")
    func sweep() throws {
        try table.hold()
        table.show(leaseJob("job_1", "cancelled"), now: 1000)
        table.removeSettled(now: Moment(15_999).instant)
        #expect(!table.isEmpty)
        table.removeSettled(now: Moment(16_000).instant)
        #expect(table.isEmpty)
        #expect(table.usage() == LeaseTable.Usage())
    }
}
