import Policy
import Testing

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let export = LeaseKind(index: 1, name: "export", lifetime: .job)
private let state = LeaseKind(index: 2, name: "state", lifetime: .request)
private let matrix = ConcurrencyMatrix(kinds: [sync, export, state], conflicts: [[0], [1], []])
private let key = LeaseKey(organization: "o", connection: "c")

extension LeaseTable {
    fileprivate func lease(_ kind: LeaseKind = sync) throws -> Lease {
        try reserve(key, kind: kind, family: .airweave, matrix: matrix, now: 0)
    }

    /// What becomes of the uncertain lease when these jobs run now.
    fileprivate func resolve(_ jobs: [LeaseJob], mayFree: Bool = true, at revision: LeaseRevision? = nil) -> Resolution
    {
        guard let lease = polledLeases().first(where: { $0.state == .uncertain }) else { return .open }
        return resolve(key, lease.serial, jobs: jobs, mayFree: mayFree, asOf: revision ?? self.revision(), now: 9)
    }
}

private func job(_ id: String, _ status: String = "running") -> LeaseJob {
    LeaseJob(id: id, type: "sync", status: status)
}

@Suite("What responses prove about leases")
struct LeaseTableStatusPollsTests {
    private let table = LeaseTable()

    @Test("LeaseTableStatusPolls: an uncertain lease is bound to the one job that runs, and freed where none does")
    func resolve() throws {
        try table.lease().leaveUncertain()
        #expect(table.resolve([job("a", "failed")], mayFree: false) == .idle)
        #expect(table.resolve([job("a"), job("b")]) == .open, "it might be the other")
        #expect(table.resolve([job("a"), job("b", "succeeded")]) == .held)
        #expect(table.connection(ofJob: "a", organization: "o") == "c")
        #expect(table.connection(ofJob: "a", organization: "p") == nil)
        #expect(table.resolve([]) == .open, "it is not uncertain any more")
        table.jobShown(key, job("a", "SUCCEEDED"), asOf: table.revision(), now: 9)
        #expect(table.resolve([job("a", "failed")]) == .freed)
        #expect(table.isEmpty)
    }

    @Test(
        "LeaseTableStatusPolls: a job that was found in a list may belong to another request: its end leaves the lease uncertain"
    )
    func guess() throws {
        try table.lease().leaveUncertain()
        #expect(table.resolve([job("a")], mayFree: false) == .held)
        let before = table.revision()
        table.jobShown(key, job("a", "failed"), asOf: table.revision(), now: 9)
        #expect(table.usage() == LeaseTable.Usage(uncertain: 1))
        #expect(table.resolve([job("b")], at: before) == .open, "the list is older than that")
        #expect(table.resolve([job("a", "failed")], mayFree: false) == .idle)
        #expect(table.resolve([job("b")]) == .held)
        table.jobVanished(key, try #require(table.polledLeases().first).serial, asOf: table.revision(), now: 9)
        #expect(table.usage() == LeaseTable.Usage(uncertain: 1))
        #expect(table.resolve([job("a", "failed")]) == .freed && table.isEmpty)
    }

    @Test("LeaseTableStatusPolls: a poll from before the last change of a lease neither binds, frees nor ends it")
    func moments() throws {
        var revision = table.revision()
        try table.lease().leaveUncertain()
        #expect(table.resolve([job("a")], at: revision) == .open)
        #expect(table.resolve([], at: revision) == .open)
        revision = table.revision()
        #expect(table.resolve([job("a")]) == .held)
        let serial = try #require(table.polledLeases().first).serial
        table.jobVanished(key, serial, asOf: revision, now: 0)
        table.jobShown(key, job("a", "failed"), asOf: revision, now: 9)
        #expect(table.usage().held == 1)
        table.jobVanished(key, serial, asOf: table.revision(), now: 0)
        #expect(table.usage().uncertain == 1)
    }

    @Test("LeaseTableStatusPolls: while another lease waits for its job's name, a job that runs may be that one's")
    func others() throws {
        try table.lease().leaveUncertain()
        let other = try table.lease(export)
        #expect(table.resolve([job("a")]) == .open)
        other.bind(job("a"), now: 1)
        #expect(table.resolve([job("a")]) == .open, "it is the other's, unless it was started again for this one")
        #expect(table.resolve([job("a"), job("b")]) == .held)
        #expect(table.usage().held == 2)
    }

    @Test("LeaseTableStatusPolls: a request without a job does not keep other leases from being resolved")
    func requests() throws {
        let update = try table.lease(state)
        try table.lease().leaveUncertain()
        #expect(table.resolve([job("a")]) == .held)
        update.release()
        #expect(!table.isEmpty)
    }

    @Test(
        "LeaseTableStatusPolls: two leases on one job both end with it, and each only by a response from after it began"
    )
    func sameJob() throws {
        try table.lease().bind(job("a"), now: 0)
        let revision = table.revision()
        try table.lease(export).bind(job("a"), now: 0)
        table.jobShown(key, job("a", "failed"), asOf: revision, now: 9)
        #expect(table.polledLeases().map(\.kind) == ["export"])
        try table.lease().bind(job("a"), now: 0)
        table.jobShown(key, job("a", "failed"), asOf: table.revision(), now: 9)
        #expect(table.isEmpty)
    }

    @Test("LeaseTableStatusPolls: leases that have a job, or may have one, are polled at the right organization")
    func polledLeases() throws {
        let reserved = try table.lease()
        #expect(table.polledLeases() == [] && !table.isEmpty)
        reserved.leaveUncertain(isAccepted: true)
        let lease = try #require(table.polledLeases().first)
        #expect(lease.family == .airweave && lease.state == .uncertain && lease.isAccepted && lease.kind == "sync")
    }

    @Test("LeaseTableStatusPolls: the status of a response decides the state of the lease")
    func conclude() throws {
        for status in [400, 401, 404, 409, 423, 429] {
            try table.lease().conclude(status: status, started: nil, now: 0)
            #expect(table.isEmpty)
        }
        for (status, isAccepted) in [
            (300, false), (302, false), (303, false), (408, false), (460, false), (499, false), (500, false),
            (503, false),
            (599, false), (200, true), (202, true), (204, true),
        ] {
            let table = LeaseTable()
            try table.lease().conclude(status: status, started: nil, now: 0)
            #expect(table.polledLeases().map(\.isAccepted) == [isAccepted])
        }
        try table.lease().conclude(status: 202, started: job("a", "failed"), now: 0)
        #expect(table.polledLeases().map(\.isAccepted) == [true], "accepted, and shown as it was before")
        _ = table.resolve([])
        try table.lease().conclude(status: 201, started: job("a", "failed"), now: 0)
        #expect(table.isEmpty)
        try table.lease().conclude(status: 201, started: job("a"), now: 0)
        #expect(table.usage().held == 1)
        for status in [200, 303, 404, 500, 501, 503] {
            let table = LeaseTable()
            try table.lease(state).conclude(status: status, started: nil, now: 0)
            #expect(table.usage() == LeaseTable.Usage())
        }
        for status in [408, 460, 499, 502, 504] {
            let table = LeaseTable()
            try table.lease(state).conclude(status: status, started: nil, now: 0)
            #expect(table.usage() == LeaseTable.Usage(uncertain: 1) && table.hasUncertainRequests)
            let lease = try #require(table.polledLeases().first)
            table.endRequest(lease.key, lease.serial)
            #expect(table.usage() == LeaseTable.Usage() && !table.hasUncertainRequests)
        }
    }
}
