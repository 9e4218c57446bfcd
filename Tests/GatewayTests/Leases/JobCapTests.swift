import Policy
import Testing

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let state = LeaseKind(index: 1, name: "state", lifetime: .request)
private let matrix = ConcurrencyMatrix(kinds: [sync, state], conflicts: [[0], []])
private let caps = [
    JobCap(name: "all", scope: .organization, max: 3), JobCap(name: "own", scope: .token, max: 2),
]

@Suite("Job caps")
struct JobCapTests {
    private let table = LeaseTable()

    private func key(_ connection: Int, _ organization: String = "o") -> LeaseKey {
        LeaseKey(organization: organization, connection: "c\(connection)")
    }

    private func claim(_ key: LeaseKey, _ token: String = "t", kind: LeaseKind = sync) -> LeaseClaim {
        let owner = LeaseOwner(subject: token, token: "\(key.organization)/\(token)", operation: "x", fingerprint: nil)
        return LeaseClaim(key: key, kind: kind, matrix: matrix, owner: owner, caps: caps)
    }

    private func start(_ key: LeaseKey, _ token: String = "t") throws {
        switch table.decide(claim(key, token), now: 0) {
        case .granted(let lease):
            lease.bind(LeaseJob(id: "job_\(key.connection)", type: "sync", status: "running"), now: 0)
        default: throw Unexpected()
        }
    }

    private func cap(_ key: LeaseKey, _ token: String = "t") -> String? {
        if case .capped(let cap) = table.decide(claim(key, token), now: 0) { cap.name } else { nil }
    }

    @Test("Job cap: the jobs of a token, and those of its organization, are counted until they end")
    func counts() throws {
        try start(key(1))
        try start(key(2))
        #expect(cap(key(3)) == "own")
        try start(key(3), "other")
        #expect(cap(key(4), "third") == "all")
        // Another organization has jobs of its own.
        try start(key(1, "p"))
        table.jobEnded(key(1), jobID: "job_c1", now: 1)
        try start(key(4))
        #expect(cap(key(5), "other") == "all")
    }

    @Test("Job cap: it refuses nothing that starts no job, and nothing is charged or left when it refuses")
    func nothingLeft() throws {
        for number in 1...2 { try start(key(number)) }
        if case .granted = table.decide(claim(key(9), kind: state), now: 0) {} else { Issue.record("state is no job") }
        var isCharged = false
        if case .capped = table.decide(
            claim(key(3)), now: 0,
            charge: {
                isCharged = true; return true
            })
        {
        } else {
            Issue.record("the cap is reached")
        }
        #expect(!isCharged)
        #expect(table.usage().held == 2)
        table.jobEnded(key(1), jobID: "job_c1", now: 1)
        // Without a charge, nothing is counted.
        for _ in 0..<5 {
            if case .notCharged = table.decide(claim(key(3)), now: 0, charge: { false }) {} else { Issue.record("no") }
        }
        try start(key(3))
    }

    @Test("Job cap: the refusal shows what runs, the oldest first")
    func refusal() throws {
        try start(key(1))
        try start(key(2))
        let refusal = table.refusal(by: caps[1], claim(key(3)), now: 5)
        #expect(refusal.running.map(\.connection) == ["c1", "c2"])
        #expect(refusal.running.map(\.lease.job?.id) == ["job_c1", "job_c2"])
        #expect(table.refusal(by: caps[1], claim(key(3), "other"), now: 5).running.isEmpty)
    }

    @Test("Job cap: leases of an earlier process count, and an adopted job is nobody's")
    func restored() throws {
        let owner = LeaseOwner(subject: "t", token: "o/t", operation: "x", fingerprint: nil)
        for number in 1...2 {
            table.restore(
                LeaseJournalRecord(
                    serial: UInt64(number), generation: 1, key: key(number), kind: "sync", family: .aitronos, since: 0,
                    job: LeaseJob(id: "job_c\(number)", type: "sync", status: "running"), owner: owner),
                matrix: matrix, now: 0)
        }
        #expect(cap(key(3)) == "own")
        table.jobEnded(key(1), jobID: "job_c1", now: 1)
        switch table.decide(claim(key(3)), now: 0) {
        case .granted(let lease): _ = lease.adopt(LeaseJob(id: "job_x", type: "sync", status: "running"), now: 0)
        default: throw Unexpected()
        }
        // One of this token, and one that only the organization has.
        try start(key(4))
        #expect(cap(key(5), "other") == "all")
    }

    @Test("Job cap: parallel claims never exceed it")
    func parallel() async throws {
        let table = table
        let granted = await withTaskGroup(of: Int.self) { group in
            for number in 0..<64 {
                let claim = claim(key(number), "t\(number)")
                group.addTask {
                    switch table.decide(claim, now: 0) {
                    case .granted(let lease):
                        lease.bind(LeaseJob(id: "job_\(number)", type: "sync", status: "running"), now: 0)
                        return 1
                    default: return 0
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(granted == 3)
    }

    private struct Unexpected: Error {}
}
