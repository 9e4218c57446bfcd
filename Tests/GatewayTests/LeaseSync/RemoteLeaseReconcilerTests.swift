import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])

/// A watcher on a running loop, whose seconds are a test's.
private final class WatchedUpstream {
    let upstream = ScriptedRequests()
    let leases = LeaseTable()
    let lines = Lines()
    private let reconciler: RemoteLeaseReconciler
    private let loop: EventLoop
    private let thread: WorkThread
    private let clock = Clock()

    final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    final class Clock: Sendable {
        let seconds = Atomic<Int>(1000)
        var now: Instant { Instant(nanoseconds: UInt64(seconds.load(ordering: .relaxed)) * 1_000_000_000) }
    }

    init() throws {
        let loop = try EventLoop(index: 0)
        self.loop = loop
        reconciler = RemoteLeaseReconciler(
            loop: loop, leases: leases, journal: nil,
            statusClient: JobStatusClient(requests: upstream, path: ScriptedRequests.path),
            clock: { [clock] in clock.now },
            report: { [lines] line in lines.all.withLock { $0.append(line) } })
        thread = WorkThread(name: "watcher") { loop.run() }
    }

    deinit {
        let loop = loop
        loop.perform { loop.stop() }
        thread.join()
    }

    /// A second passes, and everything that comes of it.
    func second(epochMilliseconds: Int64 = 0) throws {
        clock.seconds.wrappingAdd(1, ordering: .relaxed)
        let isDone = Lines()
        let reconciler = reconciler
        loop.perform {
            reconciler.tick(epochMilliseconds: epochMilliseconds)
            isDone.all.withLock { $0.append("") }
        }
        try waitUntil("the watcher has looked") { !isDone.all.withLock { $0.isEmpty } }
    }

    func hold(_ number: Int, family: RouteFamily = .aitronos) {
        leases.restore(
            LeaseJournalRecord(
                serial: 0, key: LeaseKey(organization: "o", connection: "c\(number)"), kind: "sync", family: family,
                since: 0, job: LeaseJob(id: "job_\(number)", type: "sync", status: "running")), matrix: matrix, now: 0)
    }

    var now: Instant { clock.now }

    var overdueLeases: Int { reconciler.overdueLeases }
}

@Suite("Lease reconciler")
struct RemoteLeaseReconcilerTests {
    @Test("RemoteLeaseReconciler: the end of a job frees its connection")
    func end() throws {
        let polledLeases = try WatchedUpstream()
        polledLeases.hold(1)
        polledLeases.upstream.statuses("/orgs/o/jobs/job_1", 200, #"{"job_id":"job_1","status":"running"}"#)
        for _ in 0..<3 { try polledLeases.second() }
        try waitUntil("the job was asked for") { polledLeases.upstream.asked.count >= 1 }
        #expect(polledLeases.leases.usage().held == 1)
        polledLeases.upstream.statuses("/orgs/o/jobs/job_1", 200, #"{"job_id":"job_1","status":"succeeded"}"#)
        for _ in 0..<20 { try polledLeases.second() }
        try waitUntil("the connection is free") { polledLeases.leases.isEmpty }
        let count = polledLeases.upstream.asked.count
        for _ in 0..<20 { try polledLeases.second() }
        #expect(polledLeases.upstream.asked.count == count, "nobody asks where nothing is held")
    }

    @Test(
        "RemoteLeaseReconciler: an upstream that does not respond frees nothing, and gets no more polls at once than the limit"
    )
    func silence() throws {
        let polledLeases = try WatchedUpstream()
        for number in 0..<40 { polledLeases.hold(number, family: .airweave) }
        let gate = Gate()
        polledLeases.upstream.wait(for: gate)
        for _ in 0..<10 { try polledLeases.second() }
        try waitUntil("questions are under way") { polledLeases.upstream.asked.count == 28 }
        gate.open()
        try waitUntil("all are asked about") {
            try polledLeases.second()
            return Set(polledLeases.upstream.targets).count == 40
        }
        #expect(polledLeases.upstream.maxUnderWay <= JobPollSchedule.maxPolls)
        #expect(polledLeases.leases.usage().held == 40)
    }

    @Test("RemoteLeaseReconciler: a lost response is resolved: held if a job runs, free if none does")
    func uncertain() throws {
        let polledLeases = try WatchedUpstream()
        for number in 1...2 {
            let key = LeaseKey(organization: "o", connection: "c\(number)")
            var lease = try polledLeases.leases.reserve(key, kind: sync, family: .aitronos, matrix: matrix, now: 0)
            lease.forwarded(at: polledLeases.now)
        }
        #expect(polledLeases.leases.usage().uncertain == 2)
        polledLeases.upstream.statuses(
            ScriptedRequests.listTarget("c1"), 200, #"{"data":[{"job_id":"j","status":"pending"}],"total":1}"#)
        polledLeases.upstream.statuses(ScriptedRequests.listTarget("c2"), 200, #"{"data":[],"total":0}"#)
        for _ in 0..<2 { try polledLeases.second() }
        #expect(polledLeases.upstream.asked == [], "not before two seconds")
        for _ in 0..<4 { try polledLeases.second() }
        try waitUntil("both are resolved") { polledLeases.leases.usage() == LeaseTable.Usage(held: 1) }
        #expect(polledLeases.leases.connection(ofJob: "j", organization: "o") == "c1")
    }

    @Test(
        "RemoteLeaseReconciler: a shared list without their jobs does not hide that the single polls are refused"
    )
    func troubles() throws {
        let polledLeases = try WatchedUpstream()
        let list = "/orgs/o/jobs?order_by=createdAt%7CDESC&limit=100"
        for number in 0..<10 {
            polledLeases.hold(number)
            polledLeases.upstream.statuses("/orgs/o/jobs/job_\(number)", 403, "{}")
        }
        polledLeases.upstream.statuses(list, 200, #"{"data":[],"total":0}"#)
        try waitUntil("it is told") {
            try polledLeases.second()
            return polledLeases.lines.all.withLock { $0.contains { $0.contains("had no usable response") } }
        }
        for number in 10..<20 { polledLeases.hold(number) }
        for _ in 0..<10 { try polledLeases.second() }
        #expect(polledLeases.lines.all.withLock { !$0.contains { $0.contains("have usable responses again") } })
        #expect(polledLeases.upstream.targets.contains(list))
    }

    @Test("RemoteLeaseReconciler: a lease of a day is reported and not released")
    func overdue() throws {
        let polledLeases = try WatchedUpstream()
        polledLeases.hold(1)
        try polledLeases.second(epochMilliseconds: JobPollSchedule.overdueMilliseconds - 1)
        #expect(polledLeases.overdueLeases == 0)
        for _ in 0..<3 { try polledLeases.second(epochMilliseconds: JobPollSchedule.overdueMilliseconds + 1) }
        #expect(polledLeases.overdueLeases == 1 && polledLeases.leases.usage().held == 1)
        let lines = polledLeases.lines.all.withLock { $0 }
        #expect(lines.count == 1 && lines[0].contains("c1") && lines[0].contains("24 hours"))
    }
}
