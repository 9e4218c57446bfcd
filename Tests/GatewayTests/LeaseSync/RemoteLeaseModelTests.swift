import Policy
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// Random interleavings of everything that can happen around an upstream on other machines, against the truth.
@Suite("Remote lease model")
struct RemoteLeaseModelTests {
    @Test(
        "Remote lease model: through crashes and full disks, a job always has its lease, and every lease ends with its job",
        arguments: 0..<24)
    func interleavings(seed: Int) throws {
        var world = try World(seed: UInt64(seed))
        for _ in 0..<3 {
            for _ in 0..<3500 { try world.happens() }
            try world.comesToRest()
        }
        // The run was one worth making.
        #expect(world.crashes > 5 && world.started > 100 && world.refused > 50 && world.unavailable > 0)
        #expect(world.lost > 20 && world.resumed > 0)
    }
}

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
private let refresh = LeaseKind(index: 1, name: "refresh", lifetime: .job)
/// Runs beside the others.
private let export = LeaseKind(index: 2, name: "export", lifetime: .job)
private let matrix = ConcurrencyMatrix(kinds: [sync, refresh, export], conflicts: [[0, 1], [0, 1], [2]])

private struct World {
    /// A job of the upstream.
    struct Job {
        let id: String
        let connection: String
        /// `nil` for one that somebody started behind the gateway's back.
        var kind: LeaseKind?
        var isRunning = true
        /// From when on the upstream shows it.
        var visibleAt: Int
    }

    /// A request with a lease.
    final class Request {
        var lease: Lease?
        let position: UInt64
        let connection: String
        let kind: LeaseKind
        var progress = Progress.reserved

        enum Progress {
            case reserved
            case sent(arrivesAt: Int)
            case answered(job: String?)
        }

        init(_ lease: consuming Lease, connection: String, kind: LeaseKind) {
            position = lease.position
            self.lease = consume lease
            self.connection = connection
            self.kind = kind
        }
    }

    struct PollID {
        let lease: PolledLease
        let revision: LeaseRevision
        let polledAt: Instant
        var answer: JobStatus?
    }

    /// A job object on its way to a client.
    struct Passing {
        let revision: LeaseRevision
        let job: Job
        let status: String
    }

    var random: SeededRandom
    var now = 1_000_000
    var disk = MemoryDisk()
    var journal: LeaseJournal
    var table: LeaseTable
    var polls = JobPollSchedule()
    var jobs: [Job] = []
    var requests: [Request] = []
    var openPolls: [PollID] = []
    var passing: [Passing] = []
    var revisionOfClient: LeaseRevision?
    var nextJob = 0
    var (crashes, started, refused, unavailable, lost, resumed) = (0, 0, 0, 0, 0, 0)

    init(seed: UInt64) throws {
        random = SeededRandom(state: seed)
        journal = LeaseJournal(disk: disk, minCompaction: 4000) { _ in }
        table = LeaseTable(shardCount: 1, journal: journal)
        journal.writePending()
    }

    private var instant: Instant { Instant(nanoseconds: UInt64(now) * 1_000_000) }

    private func key(_ connection: String) -> LeaseKey { LeaseKey(organization: "o", connection: connection) }

    private mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    mutating func happens() throws {
        now += Int.random(in: 0..<60, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<14: trigger()
        case 14..<26: forward()
        case 26..<38: answer()
        case 38..<44: end()
        case 44..<46: startBehindTheBack()
        case 46..<48: cancel()
        case 48..<56: tick()
        case 56..<68: evaluate()
        case 68..<80: deliver()
        case 80..<86: passBy()
        case 86..<98: journal.writePending()
        case 98: if chance(3) { try crash() }
        default: failDisk()
        }
        arrive()
        check()
    }

    /// What must hold at all times.
    private func check() {
        for job in jobs where job.isRunning {
            guard let kind = job.kind else { continue }
            let conflict = table.conflict(key(job.connection), kind: kind, matrix: matrix, now: 0)
            #expect(conflict != nil, "\(job.id) runs on \(job.connection) without a lease")
        }
    }

    private mutating func trigger() {
        guard requests.count < 6 else { return }
        let connection = ["c0", "c1", "c2"].randomElement(using: &random) ?? "c0"
        let kind = [sync, sync, refresh, export].randomElement(using: &random) ?? sync
        do throws(LeaseConflict) {
            let lease = try table.reserve(
                key(connection), kind: kind, family: .aitronos, from: LeaseOrigin(responseTimeout: .milliseconds(400)),
                matrix: matrix, now: Moment(now))
            requests.append(Request(lease, connection: connection, kind: kind))
        } catch { refused += 1 }
    }

    private mutating func forward() {
        guard let index = requests.indices.randomElement(using: &random),
            case .reserved = requests[index].progress
        else { return }
        if journal.isDurableForTest(requests[index].position) {
            requests[index].lease?.forwarded(at: instant)
            requests[index].progress = .sent(arrivesAt: now + Int.random(in: 0..<400, using: &random))
        } else if !journal.isAvailable || chance(8) {
            unavailable += 1
            requests.remove(at: index).lease.take()?.release()
        }
    }

    /// Requests reach the upstream, those of a gateway that is no more included.
    private mutating func arrive() {
        for request in requests {
            guard case .sent(let time) = request.progress, time <= now else { continue }
            request.progress = .answered(job: chance(5) ? nil : start(request.connection, request.kind))
        }
        requests.removeAll { request in
            guard request.lease == nil, case .answered = request.progress else { return false }
            return true
        }
    }

    private mutating func start(_ connection: String, _ kind: LeaseKind?) -> String {
        if kind != nil { started += 1 }
        // A retry: an old job runs again.
        if kind != nil, chance(4), let index = jobs.firstIndex(where: { !$0.isRunning && $0.connection == connection })
        {
            jobs[index].isRunning = true
            jobs[index].kind = kind
            resumed += 1
            return jobs[index].id
        }
        nextJob += 1
        let delay = Int.random(in: 0..<1500, using: &random)
        jobs.append(Job(id: "job_\(nextJob)", connection: connection, kind: kind, visibleAt: now + delay))
        if jobs.count > 60, let old = jobs.firstIndex(where: { !$0.isRunning }) { jobs.remove(at: old) }
        return "job_\(nextJob)"
    }

    private mutating func startBehindTheBack() {
        let connection = ["c0", "c1", "c2"].randomElement(using: &random) ?? "c0"
        guard !jobs.contains(where: { $0.isRunning && $0.kind == nil && $0.connection == connection }) else { return }
        _ = start(connection, nil)
    }

    private mutating func answer() {
        guard let index = requests.indices.randomElement(using: &random), let lease = requests[index].lease.take()
        else {
            return
        }
        let request = requests[index]
        switch request.progress {
        case .reserved:
            request.lease = consume lease
            return
        case .sent:
            // No answer in time; the request may still arrive.
            lost += 1
            drop(lease)
        case .answered(let job):
            requests.remove(at: index)
            if chance(4) {
                lost += 1
                drop(lease)
            } else if let job {
                let named = chance(4) ? nil : LeaseJob(id: job, type: request.kind.name, status: "pending")
                lease.conclude(status: 200, started: named, now: Moment(now))
            } else {
                lease.conclude(status: 409, started: nil, now: Moment(now))
            }
        }
    }

    private mutating func drop(_ lease: consuming Lease) {
        if chance(2) { lease.conclude(status: 502, started: nil, now: Moment(now)) }
    }

    private mutating func end() {
        let running = jobs.indices.filter { jobs[$0].isRunning }
        if let index = running.randomElement(using: &random) { jobs[index].isRunning = false }
    }

    private mutating func cancel() {
        guard let job = jobs.filter(\.isRunning).randomElement(using: &random) else { return }
        table.cancelAccepted(key(job.connection), jobID: job.id)
    }

    private mutating func tick() {
        now += 1000
        arrive()
        journal.retry()
        // In an order that the seed alone decides.
        let polledLeases = table.polledLeases().sorted { $0.serial < $1.serial }
        for lease in polls.due(polledLeases, now: instant, room: JobPollSchedule.maxPolls - openPolls.count) {
            openPolls.append(PollID(lease: lease, revision: table.revision(), polledAt: instant))
        }
    }

    private mutating func evaluate() {
        guard let index = openPolls.indices.filter({ openPolls[$0].answer == nil }).randomElement(using: &random) else {
            return
        }
        openPolls[index].answer = chance(8) ? .unknown(.failed) : truth(about: openPolls[index].lease)
    }

    private func truth(about lease: PolledLease) -> JobStatus {
        let visible = jobs.filter { $0.connection == lease.key.connection && $0.visibleAt <= now }
        func shown(_ job: Job) -> LeaseJob {
            LeaseJob(id: job.id, type: "x", status: job.isRunning ? "running" : "succeeded")
        }
        guard let wanted = lease.job else { return .jobs(visible.map(shown)) }
        return visible.first { $0.id == wanted.id }.map { .job(shown($0)) } ?? .notFound
    }

    private mutating func deliver() {
        guard let index = openPolls.indices.randomElement(using: &random) else { return }
        let isLate = instant >= openPolls[index].polledAt + .seconds(10)
        guard let answer = openPolls[index].answer ?? (isLate ? .unknown(.failed) : nil) else { return }
        let poll = openPolls[index]
        // Twice, now and then.
        if !chance(10) { openPolls.remove(at: index) }
        apply(answer, poll)
    }

    private mutating func apply(_ answer: JobStatus, _ poll: PollID) {
        table.apply(
            answer, to: poll.lease, poll.revision, &polls, polledAt: poll.polledAt, now: Moment(now),
            jitter: 1.1)
    }

    /// A client looks at a job; the answer comes at some time, or twice.
    private mutating func passBy() {
        if let revision = revisionOfClient, let job = jobs.filter({ $0.visibleAt <= now }).randomElement(using: &random)
        {
            passing.append(Passing(revision: revision, job: job, status: job.isRunning ? "running" : "failed"))
            revisionOfClient = nil
        } else {
            revisionOfClient = table.revision()
        }
        guard chance(2), let index = passing.indices.randomElement(using: &random) else { return }
        let object = passing[index]
        if !chance(4) { passing.remove(at: index) }
        table.jobShown(
            key(object.job.connection), LeaseJob(id: object.job.id, type: "x", status: object.status),
            asOf: object.revision, now: Moment(now))
    }

    private mutating func crash() throws {
        crashes += 1
        let before = requests
        // Its answers find nobody.
        requests = before.filter { if case .sent = $0.progress { true } else { false } }
        disk = chance(2) ? disk.killed() : disk.crashed(&random)
        let entries = try LeaseJournal.recover(from: disk) { _ in }.leases
        journal = LeaseJournal(disk: disk, minCompaction: 4000) { _ in }
        table = LeaseTable(shardCount: 1, journal: journal)
        for entry in entries { table.restore(entry, matrix: matrix, now: Moment(now)) }
        journal.writePending()
        for request in before { request.lease = nil }
        polls = JobPollSchedule()
        (openPolls, passing, revisionOfClient) = ([], [], nil)
    }

    private mutating func failDisk() {
        if chance(2) {
            disk.fails { _ in false }
        } else {
            let first = disk.operations + Int.random(in: 1..<5, using: &random)
            let last = first + Int.random(in: 0..<6, using: &random)
            disk.fails { $0 >= first && $0 <= last }
        }
    }

    /// All requests are answered and all jobs end: within a minute of polls no lease is left.
    mutating func comesToRest() throws {
        disk.fails { _ in false }
        for _ in 0..<400 {
            journal.retry()
            journal.writePending()
            now += 10
            forward()
            arrive()
            answer()
        }
        #expect(requests.isEmpty)
        for index in jobs.indices { jobs[index].isRunning = false }
        for _ in 0..<60 {
            tick()
            for poll in openPolls { apply(truth(about: poll.lease), poll) }
            openPolls = []
        }
        #expect(table.usage() == LeaseTable.Usage(), "at \(now)")
        #expect(table.isEmpty)
        journal.retry()
        journal.writePending()
        #expect(try LeaseJournal.recover(from: disk.killed()) { _ in }.leases == [])
    }
}
