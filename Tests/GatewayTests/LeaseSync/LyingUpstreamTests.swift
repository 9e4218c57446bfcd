import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// Random interleavings of triggers, lost answers, crashes and statusClient, with an upstream that may answer anything.
@Suite("Leases of an upstream that lies")
struct LyingUpstreamTests {
    @Test(
        "Leases, lying upstream: there are never two jobs on a connection, unless the upstream denied the first",
        arguments: 0..<10)
    func lies(seed: Int) async throws {
        var world = try LyingWorld(seed: UInt64(seed))
        for _ in 0..<3 {
            for _ in 0..<1200 { try await world.happens() }
            try await world.comesToRest()
        }
        let truth = world.truth
        // The run was one worth making.
        #expect(truth.started > 50 && world.refused > 100 && world.lost > 20 && world.crashes > 3, "\(world.summary)")
        #expect(truth.others > 20 && truth.denials > 5 && truth.lies > 500 && world.maxLeases > 8, "\(world.summary)")
    }
}

private struct LyingWorld {
    /// A request with a lease.
    private final class Request {
        var lease: Lease?
        let connection: String
        let sentAt: Int
        let arrivesAt: Int
        let isLost: Bool

        init(_ lease: consuming Lease, connection: String, sentAt: Int, arrivesAt: Int, isLost: Bool) {
            self.lease = consume lease
            self.connection = connection
            self.sentAt = sentAt
            self.arrivesAt = arrivesAt
            self.isLost = isLost
        }
    }

    private struct Pending {
        let leases: [PolledLease]
        let statuses: [JobStatus]
        let revision: LeaseRevision
        let polledAt: Instant
        let at: Int
    }

    private static let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
    private static let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
    private static let connections = (0..<24).map { "c\($0)" }

    private let upstream: LyingUpstream
    private let statusClient: JobStatusClient
    private var random: SeededRandom
    private var disk = MemoryDisk()
    private var journal: LeaseJournal
    private var table: LeaseTable
    private var polls = JobPollSchedule()
    private var requests: [Request] = []
    private var pending: [Pending] = []
    private(set) var (refused, lost, crashes, maxLeases) = (0, 0, 0, 0)

    init(seed: UInt64) throws {
        random = SeededRandom(state: seed)
        var truth = Truth(seed: seed &+ 1000)
        for connection in ["c0", "c1", "c2", "c13"] {
            truth.old[connection] = (0..<70).map { "old_\(connection)_\($0)" }
        }
        upstream = LyingUpstream(truth)
        statusClient = JobStatusClient(requests: upstream, path: ScriptedRequests.path)
        journal = LeaseJournal(disk: disk, minCompaction: 4000) { _ in }
        table = LeaseTable(shardCount: 1, journal: journal)
        journal.writePending()
    }

    var truth: Truth { upstream.truth.withLock { $0 } }

    var summary: String {
        "\(truth.started) started, \(truth.others) by others, \(refused) refused, \(lost) lost, \(crashes) crashes, \(truth.denials) denied, "
            + "\(truth.lies) lies, \(maxLeases) leases"
    }

    private var now: Int { truth.now }

    private var instant: Instant { Instant(nanoseconds: UInt64(now) * 1_000_000) }

    private mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    private func key(_ connection: String) -> LeaseKey { LeaseKey(organization: "o", connection: connection) }

    /// One half of the connections is Airweave's.
    private func family(_ connection: String) -> RouteFamily {
        Self.connections.firstIndex(of: connection).map { $0 >= 12 } ?? false ? .airweave : .aitronos
    }

    private mutating func pass(_ milliseconds: Int) { upstream.truth.withLock { $0.now += milliseconds } }

    mutating func happens() async throws {
        pass(Int.random(in: 0..<80, using: &random))
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40: trigger()
        case 40..<46: endOne()
        case 46..<70: await tick()
        case 70..<72: if chance(4) { try crash() }
        case 72..<76: startElsewhere()
        default: break
        }
        try step()
    }

    private mutating func step() throws {
        journal.writePending()
        arrive()
        deliver()
        try check()
    }

    /// What must hold at all times.
    private func check() throws {
        let running = truth.jobs.values.filter { $0.sentAt != nil && $0.isRunning && !$0.isDenied }
        for (connection, jobs) in Dictionary(grouping: running, by: \.connection) {
            try #require(jobs.count == 1, "\(jobs.map(\.id)) run on \(connection) at \(now)")
            let conflict = table.conflict(key(connection), kind: Self.sync, matrix: Self.matrix, now: 0)
            try #require(conflict != nil, "\(jobs[0]) has no lease at \(now)")
        }
    }

    private mutating func trigger() {
        let connection = Self.connections.randomElement(using: &random) ?? ""
        do throws(LeaseConflict) {
            var lease = try table.reserve(
                key(connection), kind: Self.sync, family: family(connection),
                from: LeaseOrigin(pathStart: "/", responseTimeout: .milliseconds(Truth.responseTimeout)),
                matrix: Self.matrix,
                now: Moment(now))
            while !journal.isDurableForTest(lease.position) { journal.writePending() }
            lease.forwarded(at: instant)
            // Most are at once with the upstream; one whose answer is lost may take as long as it may.
            let isLost = chance(4)
            let delay = Int.random(in: 0..<(isLost ? Truth.responseTimeout : 300), using: &random)
            requests.append(
                Request(lease, connection: connection, sentAt: now, arrivesAt: now + delay, isLost: isLost))
            if isLost { lose(requests[requests.count - 1]) }
        } catch { refused += 1 }
    }

    private mutating func lose(_ request: Request) {
        lost += 1
        guard let lease = request.lease.take() else { return }
        if chance(2) { lease.conclude(status: 504, started: nil, now: Moment(now)) }
    }

    /// Requests reach the upstream, those of a gateway that is no more included.
    private mutating func arrive() {
        for request in requests where request.arrivesAt <= now {
            let (job, answer) = upstream.truth.withLock { truth in
                let job = truth.start(on: request.connection, sentAt: request.sentAt)
                return (job, truth.answer(toTriggerOf: job))
            }
            guard let lease = request.lease.take() else { continue }
            guard let answer else {
                lost += 1
                continue
            }
            let started =
                (200...299).contains(answer.status)
                ? JobObserver(leases: table, statusClient: statusClient).started(
                    by: Array(answer.body.utf8).span, key(job.connection), kind: Self.sync,
                    family: family(job.connection))
                : nil
            lease.conclude(status: answer.status, started: started, now: Moment(now))
        }
        let time = now
        requests.removeAll { $0.arrivesAt <= time }
    }

    /// Somebody starts a job where nothing runs, nor is about to as far as anybody knows.
    private mutating func startElsewhere() {
        let connection = Self.connections.randomElement(using: &random) ?? ""
        upstream.truth.withLock { truth in
            if truth.running(on: connection).isEmpty { _ = truth.start(on: connection, sentAt: nil) }
        }
    }

    private mutating func endOne() {
        let ids = truth.jobs.keys.sorted()
        if let id = ids.randomElement(using: &random) { upstream.truth.withLock { $0.end(id) } }
    }

    private mutating func tick() async {
        pass(1000)
        let polledLeases = table.polledLeases()
        maxLeases = max(maxLeases, polledLeases.count)
        for lease in polls.record(polledLeases, now: instant) { table.endRequest(lease.key, lease.serial) }
        await poll()
    }

    private mutating func poll() async {
        while true {
            let leases = polls.next(now: instant)
            guard let first = leases.first else { return }
            let revision = table.revision()
            let statuses =
                leases.count > 1
                ? await statusClient.poll(leases).statuses : [await statusClient.poll(first)]
            let delay = chance(3) ? Int.random(in: 0..<9000, using: &random) : 20
            pending.append(
                Pending(leases: leases, statuses: statuses, revision: revision, polledAt: instant, at: now + delay))
        }
    }

    private mutating func deliver() {
        let time = now
        for answered in pending where answered.at <= time {
            for (lease, answer) in zip(answered.leases, answered.statuses) {
                table.apply(
                    answer, to: lease, answered.revision, &polls, polledAt: answered.polledAt, now: Moment(now),
                    jitter: 1.1)
            }
        }
        pending.removeAll { $0.at <= time }
    }

    private mutating func crash() throws {
        crashes += 1
        disk = chance(2) ? disk.killed() : disk.crashed(&random)
        let entries = try LeaseJournal.recover(from: disk) { _ in }.leases
        journal = LeaseJournal(disk: disk, minCompaction: 4000) { _ in }
        let before = requests
        table = LeaseTable(shardCount: 1, journal: journal)
        for entry in entries { table.restore(entry, matrix: Self.matrix, now: Moment(now)) }
        journal.writePending()
        for request in before { request.lease = nil }
        polls = JobPollSchedule()
        pending = []
    }

    /// The upstream tells the truth again, and all jobs end: no lease is left.
    mutating func comesToRest() async throws {
        upstream.truth.withLock { $0.isHonest = true }
        for _ in 0..<20 {
            await tick()
            try step()
        }
        for id in truth.jobs.keys.sorted() { upstream.truth.withLock { $0.end(id) } }
        for _ in 0..<90 {
            await tick()
            try step()
        }
        #expect(requests.isEmpty)
        #expect(table.usage() == LeaseTable.Usage(), "at \(now): \(table.polledLeases())")
        upstream.truth.withLock { $0.isHonest = false }
    }
}
