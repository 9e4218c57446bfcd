import Policy
import Testing
import Transport

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job, settleTime: .seconds(15))
private let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
private let key = LeaseKey(organization: "o", connection: "c")
private let request = RequestFingerprint(high: 1, low: 2)

private func owner(
    _ subject: String = "o/ci", token: String = "o/ci-1", operation: String = "jobs.trigger",
    fingerprint: RequestFingerprint? = request
) -> LeaseOwner {
    LeaseOwner(subject: subject, token: token, operation: operation, fingerprint: fingerprint)
}

private func job(_ id: String, _ status: String = "running") -> LeaseJob {
    LeaseJob(id: id, type: "sync", status: status, location: "/jobs/\(id)")
}

/// What a claim leads to, without the lease.
private enum Found: Equatable {
    case granted, conflict, notCharged
    case own(String?)
}

extension LeaseTable {
    fileprivate func claim(_ owner: LeaseOwner?, now: Moment = 0) -> LeaseDecision {
        decide(
            LeaseClaim(key: key, kind: sync, matrix: matrix, owner: owner, resendWindow: .seconds(600)), now: now)
    }

    fileprivate func found(_ owner: LeaseOwner?, now: Moment = 0) -> Found {
        switch claim(owner, now: now) {
        case .granted: .granted
        case .conflict: .conflict
        case .notCharged: .notCharged
        case .queued: .conflict
        case .capped: .conflict
        case .shared(let own):
            if case .job(let job) = own.progress { .own(job.id) } else { .own(nil) }
        }
    }

    fileprivate func take(_ owner: LeaseOwner? = owner()) throws -> Lease {
        switch claim(owner) {
        case .granted(let lease): return lease
        default: throw UnexpectedDecision()
        }
    }
}

private struct UnexpectedDecision: Error {}

@Suite("Own lease")
struct OwnLeaseTests {
    private let table = LeaseTable()

    @Test("Own lease: the same request of the same caller finds its job, whichever token it uses")
    func found() throws {
        try table.take().bind(job("job_1"), now: 0)
        #expect(table.found(owner(), now: 1000) == .own("job_1"))
        #expect(table.found(owner(token: "o/ci-2"), now: 1000) == .own("job_1"))
    }

    @Test("Own lease: another caller, operation or body, and a request without a fingerprint, conflict")
    func strangers() throws {
        try table.take().bind(job("job_1"), now: 0)
        #expect(table.found(owner("o/other"), now: 1) == .conflict)
        #expect(table.found(owner(operation: "connections.refresh"), now: 1) == .conflict)
        #expect(table.found(owner(fingerprint: RequestFingerprint(high: 1, low: 3)), now: 1) == .conflict)
        #expect(table.found(owner(fingerprint: nil), now: 1) == .conflict)
        #expect(table.found(nil, now: 1) == .conflict)
    }

    @Test("Own lease: after the window the same request conflicts, like any other")
    func window() throws {
        try table.take().bind(job("job_1"), now: 0)
        #expect(table.found(owner(), now: 599_999) == .own("job_1"))
        #expect(table.found(owner(), now: 600_000) == .conflict)
    }

    @Test("Own lease: equal requests that may run side by side are two requests")
    func parallel() throws {
        let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[]])
        let claim = LeaseClaim(key: key, kind: sync, matrix: matrix, owner: owner(), resendWindow: .seconds(600))
        var granted = 0
        for _ in 0..<2 {
            switch table.decide(claim, now: 0) {
            case .granted(let lease):
                lease.bind(job("job_\(granted)"), now: 0)
                granted += 1
            default: Issue.record("the matrix does not exclude it")
            }
        }
        #expect(granted == 2)
    }

    /// The lease of a request whose answer was lost, after a poll that listed `job`.
    private func guessed(_ job: LeaseJob) throws {
        var lease = try table.take()
        lease.forwarded()
        lease.leaveUncertain()
        let serial = try #require(table.polledLeases().first).serial
        let revision = table.revision()
        #expect(table.resolve(key, serial, jobs: [job], mayFree: true, asOf: revision, now: 5) == .held)
    }

    @Test("Own lease: a job from a list is the answer only if the request may have started it")
    func guess() throws {
        try guessed(LeaseJob(id: "job_1", type: "sync", status: "running", startedAt: 0))
        #expect(table.found(owner(), now: 6) == .own("job_1"))
    }

    @Test(
        "Own lease: a job of another type, or one that is older than the request, is somebody else's",
        arguments: [
            LeaseJob(id: "job_1", type: "reset", status: "running", startedAt: 0),
            LeaseJob(id: "job_1", type: "sync", status: "running", startedAt: -60_001),
        ])
    func strangersJob(job: LeaseJob) throws {
        try guessed(job)
        #expect(table.found(owner(), now: 6) == .own(nil))
    }

    @Test("Own lease: a job that was cancelled without the gateway is no answer")
    func cancelling() throws {
        try table.take().bind(job("job_1"), now: 0)
        table.jobShown(key, job("job_1", "CANCELLING"), asOf: table.revision(), now: 1)
        #expect(table.found(owner(), now: 2) == .conflict)
    }

    @Test("Own lease: the name of a token is shown to tokens of its organization only")
    func tokenNames() throws {
        try table.take().bind(job("job_1"), now: 0)
        func token(_ viewer: LeaseOwner?) throws -> String? {
            let claim = LeaseClaim(key: key, kind: sync, matrix: matrix, owner: viewer)
            return try #require(table.conflict(of: claim, now: 1)).token
        }
        #expect(try token(owner("o/x", token: "o/x")) == "o/ci-1")
        #expect(try token(owner("partner/x", token: "partner/x")) == nil)
        #expect(try token(nil) == nil)
    }

    @Test("Own lease: a restart does not begin the window again")
    func restart() throws {
        let record = LeaseJournalRecord(
            serial: 1, generation: 1, key: key, kind: "sync", family: .aitronos, since: 1_000_000, job: job("job_1"),
            owner: owner())
        table.restore(record, matrix: matrix, now: 1_599_999)
        #expect(table.found(owner(), now: 1_599_999) == .own("job_1"))
        #expect(table.found(owner(), now: 1_600_000) == .conflict)
    }

    @Test("Own lease: a job that was being cancelled before a restart is no answer after it")
    func restartAfterCancellation() throws {
        let record = LeaseJournalRecord(
            serial: 1, generation: 1, key: key, kind: "sync", family: .aitronos, since: 1_000_000, job: job("job_1"),
            isDraining: true, owner: owner())
        table.restore(record, matrix: matrix, now: 1_000_001)
        #expect(table.found(owner(), now: 1_000_002) == .conflict)
        #expect(table.usage().draining == 1)
    }

    @Test("Own lease: it is found before its job is known, and while the answer is lost")
    func withoutJob() throws {
        var lease = try table.take()
        #expect(table.found(owner(), now: 1) == .own(nil))
        lease.forwarded()
        lease.leaveUncertain()
        #expect(table.found(owner(), now: 1) == .own(nil))
    }

    @Test("Own lease: a job that is being cancelled, settles or is over is no answer to a request for a new one")
    func over() throws {
        try table.take().bind(job("job_1"), now: 0)
        table.cancelAccepted(key, jobID: "job_1")
        #expect(table.found(owner(), now: 1) == .conflict)
        table.jobShown(key, job("job_1", "cancelled"), asOf: table.revision(), now: 2)
        #expect(table.found(owner(), now: 3) == .conflict)
        #expect(table.found(owner(), now: 15_002) == .granted)
    }

    @Test(
        "Own lease: nothing is charged for a request that was sent again or conflicts, and nothing taken without a charge"
    )
    func charge() throws {
        var charges = 0
        let claim = LeaseClaim(key: key, kind: sync, matrix: matrix, owner: owner(), resendWindow: .seconds(600))
        if case .notCharged = table.decide(claim, now: 0, charge: { false }) {} else { Issue.record("was taken") }
        #expect(table.usage() == LeaseTable.Usage())
        let first = table.decide(claim, now: 0) {
            charges += 1
            return true
        }
        #expect(charges == 1)
        if case .shared = table.decide(claim, now: 0, charge: { false }) {} else { Issue.record("no") }
        switch consume first {
        case .granted(let lease): lease.bind(job("job_1"), now: 0)
        default: Issue.record("the first claim was not granted")
        }
        _ = table.decide(claim, now: 1) {
            charges += 1
            return true
        }
        _ = table.decide(LeaseClaim(key: key, kind: sync, matrix: matrix, owner: owner("o/x")), now: 1) {
            charges += 1
            return true
        }
        #expect(charges == 1)
    }
}
