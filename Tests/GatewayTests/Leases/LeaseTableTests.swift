import Policy
import Testing

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let refresh = LeaseKind(index: 1, name: "refresh", lifetime: .job)
private let state = LeaseKind(index: 2, name: "state", lifetime: .request)
private let matrix = ConcurrencyMatrix(kinds: [sync, refresh, state], conflicts: [[0, 1], [0, 1], [0, 1]])
private let key = LeaseKey(organization: "org_xyz789", connection: "conn_abc123")

private func job(_ id: String, _ status: String = "running") -> LeaseJob {
    LeaseJob(id: id, type: "sync", status: status, startedAt: 0, location: "/jobs/\(id)")
}

extension LeaseTable {
    fileprivate func tryReserve(_ kind: LeaseKind = sync, on key: LeaseKey = key, now: Moment = 0) -> Lease? {
        try? reserve(key, kind: kind, matrix: matrix, now: now)
    }

    /// Reserves and lets go at once.
    fileprivate func grants(_ kind: LeaseKind = sync, on key: LeaseKey = key) -> Bool {
        tryReserve(kind, on: key) != nil
    }

    fileprivate func refusal(_ kind: LeaseKind = sync, now: Moment = 0) -> LeaseConflict? {
        conflict(key, kind: kind, matrix: matrix, now: now)
    }

    /// The upstream is asked and answers with these jobs.
    fileprivate func ask(_ running: LeaseJob...) {
        reconcile(running: running.map { RunningJob(key: key, job: $0) }, asOf: revision(), now: 0)
    }

    fileprivate var isFree: Bool { refusal() == nil && refusal(state) == nil && usage() == Usage() }
}

@Suite("Lease table")
struct LeaseTableTests {
    @Test("LeaseTable: a lease lives from the reservation to the end of its job")
    func life() {
        let table = LeaseTable()
        let lease = table.tryReserve()
        #expect(table.usage().reserved == 1)
        #expect(table.refusal()?.state == .reserved)
        lease?.bind(job("job_1"), now: 5)
        #expect(table.refusal()?.job == job("job_1"))
        #expect(table.refusal(refresh)?.state == .held)
        table.jobEnded(key, jobID: "job_other", now: 9)
        #expect(!table.isFree)
        table.cancelAccepted(key, jobID: "job_1")
        #expect(table.refusal()?.state == .draining)
        table.jobEnded(key, jobID: "job_1", now: 10)
        #expect(table.isFree)
    }

    @Test("LeaseTable: if a job ends before its response arrives, the response frees the lease")
    func endBeforeBind() {
        let table = LeaseTable()
        let lease = table.tryReserve()
        table.jobEnded(key, jobID: "job_0", now: 1)
        table.jobEnded(key, jobID: "job_1", now: 1)
        #expect(table.refusal()?.state == .reserved)
        lease?.bind(job("job_1"), now: 2)
        #expect(table.isFree)
    }

    @Test(
        "LeaseTable: a response that names an ended job frees the lease",
        arguments: ["succeeded", "FAILED", "cancelled"])
    func boundToEnded(status: String) {
        let table = LeaseTable()
        table.tryReserve()?.bind(job("job_1", status), now: 2)
        #expect(table.isFree)
    }

    @Test("LeaseTable: a request that is dropped before anything was sent leaves no lease")
    func droppedEarly() {
        let table = LeaseTable()
        #expect(table.grants())
        #expect(table.isFree)
    }

    @Test(
        "LeaseTable: a request that is dropped after it was sent leaves the connection uncertain until a poll"
    )
    func droppedLate() throws {
        let table = LeaseTable()
        do {
            var lease = try table.tryReserve(now: 100).orFail()
            lease.forwarded()
        }
        #expect(table.refusal()?.state == .uncertain)
        table.ask()
        #expect(table.isFree)
    }

    @Test("LeaseTable: a response from before the last change of a lease proves nothing about it")
    func oldAnswers() throws {
        let table = LeaseTable()
        var revision = table.revision()
        let lease = try table.tryReserve().orFail()
        table.ask()
        #expect(table.refusal()?.state == .reserved)
        revision = table.revision()
        lease.bind(job("job_1"), now: 0)
        table.reconcile(running: [], asOf: revision, now: 0)
        #expect(table.refusal()?.state == .held)
        table.ask(job("job_1"))
        #expect(table.refusal()?.state == .held)
        // The sign of its end was lost.
        table.ask(job("job_1", "succeeded"))
        #expect(table.isFree)

        revision = table.revision()
        try table.tryReserve().orFail().leaveUncertain()
        table.reconcile(running: [], asOf: revision, now: 0)
        #expect(table.refusal()?.state == .uncertain)
        table.ask()
        #expect(table.isFree)
    }

    @Test("LeaseTable: an uncertain lease binds to the job the upstream turns out to run")
    func uncertainToHeld() throws {
        let table = LeaseTable()
        try table.tryReserve().orFail().leaveUncertain()
        table.ask(job("job_9"))
        #expect(table.refusal()?.job?.id == "job_9")
        table.ask(job("job_9"))
        #expect(table.refusal()?.state == .held)
        table.jobEnded(key, jobID: "job_9", now: 12)
        #expect(table.isFree)
    }

    @Test("LeaseTable: an old response does not bind an uncertain lease to a job that has ended meanwhile")
    func uncertainAndEnded() throws {
        let table = LeaseTable()
        try table.tryReserve().orFail().leaveUncertain()
        let revision = table.revision()
        table.jobEnded(key, jobID: "job_9", now: 12)
        table.jobObserved(key, job("job_9"), now: 13)
        #expect(table.refusal()?.state == .uncertain)
        table.reconcile(running: [RunningJob(key: key, job: job("job_9"))], asOf: revision, now: 13)
        #expect(table.isFree)
    }

    @Test("LeaseTable: a passing job object updates or ends a lease but never makes one")
    func observed() {
        let table = LeaseTable()
        table.jobObserved(key, job("job_1"), now: 0)
        #expect(table.isFree)
        table.tryReserve()?.bind(job("job_1", "pending"), now: 0)
        table.jobObserved(key, job("job_1", "running"), now: 1)
        #expect(table.refusal()?.job?.status == "running")
        table.jobObserved(key, job("job_1", "something new"), now: 1)
        #expect(!table.isFree)
        table.jobObserved(key, job("job_1", "succeeded"), now: 2)
        #expect(table.isFree)
    }

    @Test("LeaseTable: a state update excludes a sync and the other way round, and ends with its request")
    func requestLease() throws {
        let table = LeaseTable()
        do {
            var first = try table.tryReserve(state).orFail()
            let second = try table.tryReserve(state).orFail()
            #expect(table.usage().reserved == 2)
            #expect(table.refusal(sync)?.retryAfterSeconds == 1)
            first.forwarded()
            second.leaveUncertain()
            #expect(table.usage().reserved == 1)
            #expect(table.refusal(sync) != nil)
        }
        // The first was sent and nobody heard of it again; the second never was.
        #expect(!table.isFree && table.usage() == LeaseTable.Usage(uncertain: 2))
        for lease in table.polledLeases() { table.endRequest(lease.key, lease.serial) }
        #expect(table.isFree)
        table.tryReserve()?.bind(job("job_1"), now: 0)
        #expect(!table.grants(state))
    }

    @Test("LeaseTable: leases on other connections and organizations are others")
    func otherKeys() {
        let table = LeaseTable(shardCount: 1)
        let lease = table.tryReserve()
        #expect(table.grants(on: LeaseKey(organization: "org_xyz789", connection: "conn_2")))
        #expect(table.grants(on: LeaseKey(organization: "org_2", connection: "conn_abc123")))
        #expect(!table.grants())
        lease?.release()
        #expect(table.isFree)
    }

    @Test("LeaseTable: running jobs found at the start hold their connection, each once")
    func rebuild() {
        let table = LeaseTable()
        table.rebuild(key, kind: sync, job: job("job_1"), now: 10)
        table.rebuild(key, kind: sync, job: job("job_1"), now: 10)
        table.rebuild(key, kind: sync, job: job("job_0", "failed"), now: 10)
        #expect(table.usage().held == 1)
        table.jobEnded(key, jobID: "job_1", now: 12)
        #expect(table.isFree)
    }

    @Test("LeaseTable: a lease of a kind the new policy does not know excludes everything until its job ends")
    func kindGone() {
        let table = LeaseTable()
        table.tryReserve()?.bind(job("job_1"), now: 0)
        let renamed = LeaseKind(index: 0, name: "export", lifetime: .job)
        let other = ConcurrencyMatrix(kinds: [renamed], conflicts: [[]])
        #expect(table.conflict(key, kind: renamed, matrix: other, now: 0) != nil)
        // The same kinds in another order are still the same kinds.
        let sync2 = LeaseKind(index: 1, name: "sync", lifetime: .job)
        let reordered = ConcurrencyMatrix(kinds: [renamed, sync2], conflicts: [[], [1]])
        #expect(table.conflict(key, kind: renamed, matrix: reordered, now: 0) == nil)
        #expect(table.conflict(key, kind: sync2, matrix: reordered, now: 0) != nil)
    }

    @Test("LeaseTable: Retry-After is what the connection's jobs usually take, less the age of this one")
    func retryAfter() {
        let table = LeaseTable()
        #expect(table.refusal() == nil)
        for (index, seconds) in ([20, 30, 40] as [Int64]).enumerated() {
            table.tryReserve(now: 0)?.bind(job("job_\(index)"), now: 0)
            if index == 0 { #expect(table.refusal(now: 0)?.retryAfterSeconds == 3) }
            table.jobEnded(key, jobID: "job_\(index)", now: Moment(seconds * 1000))
        }
        table.tryReserve(now: 0)?.bind(job("job_x"), now: 0)
        #expect(table.refusal(now: 0)?.retryAfterSeconds == 30)
        #expect(table.refusal(now: 12_500)?.retryAfterSeconds == 18)
        #expect(table.refusal(now: 29_999)?.retryAfterSeconds == 1)
        #expect(table.refusal(now: 30_000)?.retryAfterSeconds == 10)
        #expect(table.refusal(now: 90_000)?.retryAfterSeconds == 3)
        #expect(table.refusal(now: -500_000)?.retryAfterSeconds == 60)
    }

    @Test("LeaseTable: histories of connections are bounded")
    func boundedHistories() {
        let table = LeaseTable(shardCount: 1, maximumHistories: 10)
        for index in 0..<1000 {
            let key = LeaseKey(organization: "o", connection: "\(index)")
            table.tryReserve(on: key)?.bind(job("j"), now: 0)
            table.jobEnded(key, jobID: "j", now: 10_000)
        }
        #expect(table.usage() == LeaseTable.Usage())
    }

    @Test("LeaseTable: of parallel triggers exactly one wins, every round")
    func parallel() async {
        let table = LeaseTable()
        for round in 0..<200 {
            let winners = await withTaskGroup(of: Int.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        guard let lease = table.tryReserve(task % 2 == 0 ? sync : refresh) else { return 0 }
                        lease.bind(job("job_\(round)_\(task)"), now: 0)
                        return 1
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(winners == 1)
            for task in 0..<8 { table.jobEnded(key, jobID: "job_\(round)_\(task)", now: 1) }
            #expect(table.isFree)
        }
    }

    @Test("LeaseTable: a race of a trigger with the end of its job never leaves a lease behind")
    func bindRacesEnd() async throws {
        let table = LeaseTable()
        for round in 0..<2000 {
            let lease = try table.tryReserve().orFail()
            let end = Task { table.jobEnded(key, jobID: "job_\(round)", now: 1) }
            lease.bind(job("job_\(round)"), now: 1)
            await end.value
            #expect(table.refusal() == nil)
        }
    }
}

extension Optional where Wrapped: ~Copyable {
    /// `#require` cannot take noncopyable values.
    fileprivate consuming func orFail() throws -> Wrapped {
        guard let value = self else { throw Missing() }
        return value
    }
}

private struct Missing: Error {}
