import Policy
import Synchronization
import Testing

@testable import Gateway
@testable import Transport

/// Random interleavings of triggers, lost answers, crashes and questions, with an upstream that may answer anything.
@Suite("Leases of an upstream that lies")
struct LyingUpstreamTests {
    @Test("There are never two jobs on a connection, unless the upstream denied the first", arguments: 0..<10)
    func lies(seed: Int) async throws {
        var world = try LyingWorld(seed: UInt64(seed))
        for _ in 0..<3 {
            for _ in 0..<1200 { try await world.happens() }
            try await world.comesToRest()
        }
        let truth = world.truth
        // The run was one worth making.
        #expect(truth.started > 50 && world.refused > 100 && world.lost > 20 && world.crashes > 3, "\(world.summary)")
        #expect(truth.others > 20 && truth.denials > 5 && truth.lies > 500 && world.mostLeases > 8, "\(world.summary)")
    }
}

/// What really runs, and what the upstream has said of it.
private struct Truth {
    struct Job {
        let id: String
        let connection: String
        let startedAt: Int
        /// When the request for it was sent; `nil` for one that somebody started behind the gateway's back.
        let sentAt: Int?
        var isRunning = true
        /// The upstream has said that it is not, in a way that has to be believed.
        var isDenied = false
        /// When lists of the connection's jobs did not show it, that looked whole.
        var omittedAt: [Int] = []
    }

    var random: SeededRandom
    /// Milliseconds since the epoch.
    var now = Truth.midnight
    var jobs: [String: Job] = [:]
    /// Jobs that ended long ago, by connection, oldest first.
    var old: [String: [String]] = [:]
    var isHonest = false
    var nextJob = 0
    var (started, others, denials, lies) = (0, 0, 0, 0)
    /// By how much the upstream's clock is ahead.
    private let skew: Int
    /// What a cache before it remembers.
    private var answers: [String: UpstreamAnswer] = [:]

    /// 2023-11-14T00:00:00Z.
    static let midnight = 1_699_920_000_000

    init(seed: UInt64) {
        random = SeededRandom(state: seed)
        skew = Int.random(in: -30...30, using: &random) * 1000
    }

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

    func running(on connection: String) -> [Job] {
        jobs.values.filter { $0.isRunning && $0.connection == connection }
    }

    mutating func start(on connection: String, sentAt: Int?) -> Job {
        nextJob += 1
        if sentAt == nil { others += 1 } else { started += 1 }
        let job = Job(id: "job_\(nextJob)", connection: connection, startedAt: now, sentAt: sentAt)
        jobs[job.id] = job
        return job
    }

    mutating func deny(_ id: String) {
        guard jobs[id]?.isRunning ?? false, !(jobs[id]?.isDenied ?? true) else { return }
        jobs[id]?.isDenied = true
        denials += 1
    }

    /// A list of its connection's jobs that looks whole does not show a running job. One alone proves nothing of a job whose name
    /// is known, nor while the request for it may be at work.
    mutating func omit(_ id: String) {
        guard var job = jobs[id] else { return }
        job.omittedAt.append(now)
        jobs[id] = job
        let isTwice = job.omittedAt.contains { now - $0 >= LyingWorld.missing }
        if isTwice || now - (job.sentAt ?? 0) >= LyingWorld.patience { deny(id) }
    }

    mutating func end(_ id: String) {
        guard let job = jobs.removeValue(forKey: id) else { return }
        old[job.connection, default: []].append(id)
    }
}

extension Truth {
    static let garbage: [(Int, String)] = [
        (401, "[]"), (403, "{}"), (404, "<html>no such page</html>"), (404, "[]"), (410, ""), (429, "[]"), (500, "[]"),
        (502, "<html>"), (503, #"{"data":[],"total":0}"#), (302, ""), (204, ""), (200, ""), (200, "<html>"),
        (200, "{}"),
        (200, #"{"data":{}}"#), (200, #"{"data":[7]}"#), (200, #"{"data":[],"total":3}"#),
        (200, #"[{"status":"failed"}]"#),
        (200, #"{"job_id":"job_x","status":"failed"}"#), (200, "null"), (200, #"{"data":[],"data":[],"total":0}"#),
        (418, "[]"), (200, #"{"error":"not now"}"#),
    ]

    func object(_ id: String, _ connection: String, status: String, startedAt: Int?) -> String {
        let time = startedAt.map { #","start_time":"\#(Self.text($0))""# } ?? ""
        return #"{"job_id":"\#(id)","connection_id":"\#(connection)","status":"\#(status)"\#(time)}"#
    }

    private static func text(_ time: Int) -> String {
        func digits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let seconds = (time - midnight) / 1000
        return "2023-11-14T\(digits(seconds / 3600)):\(digits(seconds / 60 % 60)):\(digits(seconds % 60))Z"
    }

    func honest(_ job: Job) -> String {
        object(job.id, job.connection, status: "running", startedAt: job.startedAt + skew)
    }

    /// Answers a question of the gateway: `nil` is silence.
    mutating func answer(_ target: String) -> UpstreamAnswer? {
        if !isHonest, chance(3) {
            lies += 1
            if chance(4) { return nil }
            let (status, body) = Self.garbage.randomElement(using: &random) ?? (404, "")
            return UpstreamAnswer(status: status, body: Array(body.utf8))
        }
        if !isHonest, chance(12), let stored = answers[target] {
            return UpstreamAnswer(status: stored.status, body: stored.body, isStored: true)
        }
        let answer = read(target)
        answers[target] = answer
        return answer
    }

    private mutating func read(_ target: String) -> UpstreamAnswer {
        let (path, query) = target.split(separator: "?").first.map { ($0, target.dropFirst($0.count + 1)) } ?? ("", "")
        let parts = path.split(separator: "/")
        var fields: [Substring: Substring] = [:]
        for field in query.split(separator: "&") {
            fields[field.prefix { $0 != "=" }] = field.drop { $0 != "=" }.dropFirst()
        }
        let offset = fields["offset"].flatMap { Int($0) } ?? 0
        // "/orgs/o/jobs/ID", "/orgs/o/jobs?connection_id=C...", "/orgs/o/jobs?order_by=...", "/source-connections/C/jobs?..."
        if parts.count == 4 { return one(String(parts[3])) }
        if parts[0] == "source-connections" { return list(of: String(parts[1]), offset: offset, isBare: true) }
        if let connection = fields["connection_id"] {
            return list(of: String(connection), offset: offset, isBare: false)
        }
        return listOfAll(offset: offset)
    }

    private mutating func one(_ id: String) -> UpstreamAnswer {
        guard let job = jobs[id] else {
            if old.values.contains(where: { $0.contains(id) }), chance(2) {
                let connection = old.first { $0.value.contains(id) }?.key ?? ""
                return good(object(id, connection, status: "succeeded", startedAt: nil))
            }
            return UpstreamAnswer(status: 404, body: [])
        }
        if !isHonest {
            // Somebody else's job, or the job of somewhere else, says nothing.
            if chance(6) { return good(object(id, "elsewhere", status: "failed", startedAt: nil)) }
            if chance(6) { return UpstreamAnswer(status: 404, body: []) }
            if chance(80) {
                deny(id)
                return good(object(id, job.connection, status: "cancelled", startedAt: nil))
            }
        }
        return good(honest(job))
    }

    private mutating func list(of connection: String, offset: Int, isBare: Bool) -> UpstreamAnswer {
        var shown = (old[connection] ?? []).map { object($0, connection, status: "succeeded", startedAt: nil) }
        for job in running(on: connection) {
            if !isHonest, chance(40) { omit(job.id) } else { shown.append(honest(job)) }
        }
        let total = shown.count
        // Sorted oldest first, so that what runs is on the last page.
        let page = shown.dropFirst(offset).prefix(pageLength)
        if !isHonest, !page.isEmpty, chance(8) { return good("[" + page.joined(separator: ",") + #",{"id":1.5}]"#) }
        let body = "[" + page.joined(separator: ",") + "]"
        return good(isBare ? body : #"{"data":\#(body),"total":\#(total)}"#)
    }

    private mutating func listOfAll(offset: Int) -> UpstreamAnswer {
        var shown: [String] = []
        for job in jobs.values.sorted(by: { $0.startedAt > $1.startedAt }) where isHonest || !chance(3) {
            shown.append(honest(job))
        }
        return good(#"{"data":["# + shown.dropFirst(offset).prefix(100).joined(separator: ",") + "]}")
    }

    /// Shorter than what is asked for.
    private var pageLength: Int { 30 }

    private func good(_ body: String) -> UpstreamAnswer { UpstreamAnswer(status: 200, body: Array(body.utf8)) }

    /// Answers a trigger that started `job`.
    mutating func answer(toTriggerOf job: Job) -> (status: Int, body: String)? {
        if isHonest || chance(3) { return (200, honest(job)) }
        lies += 1
        if chance(12) {
            // Plainly refused, or another job named.
            deny(job.id)
            return chance(2)
                ? (429, "") : (200, object("job_of_nobody", job.connection, status: "succeeded", startedAt: nil))
        }
        let empty: [(Int, String)?] = [
            nil, (200, ""), (202, "accepted"), (204, ""), (201, "<html>"), (301, ""), (303, ""), (307, ""), (408, ""),
            (460, ""),
            (499, ""), (500, ""), (502, ""), (503, ""), (504, ""), (599, ""), (200, #"{"id":"job_1"}"#),
            (200, #"{"status":"ok"}"#), (200, object("job_z", "elsewhere", status: "succeeded", startedAt: nil)),
        ]
        return empty.randomElement(using: &random) ?? nil
    }
}

private final class LyingUpstream: UpstreamQuestions {
    let truth: Mutex<Truth>

    init(_ truth: Truth) { self.truth = Mutex(truth) }

    func ask(_ target: String, for organization: String) async throws(UpstreamFailure) -> UpstreamAnswer {
        guard let answer = truth.withLock({ $0.answer(target) }) else { throw .answerTimeout }
        return answer
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
        let leases: [WatchedLease]
        let answers: [JobAnswer]
        let moment: LeaseMoment
        let askedAt: Instant
        let at: Int
    }

    /// Milliseconds that a request may take, and those after which a job that was not found is gone.
    static let patience = 8000
    static let missing = 5000

    private static let sync = LeaseKind(index: 0, name: "sync", holds: .job)
    private static let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
    private static let connections = (0..<24).map { "c\($0)" }

    private let upstream: LyingUpstream
    private let questions: JobQuestions
    private var random: SeededRandom
    private var disk = MemoryDisk()
    private var journal: LeaseJournal
    private var table: LeaseTable
    private var watches = JobWatches()
    private var requests: [Request] = []
    private var pending: [Pending] = []
    private(set) var (refused, lost, crashes, mostLeases) = (0, 0, 0, 0)

    init(seed: UInt64) throws {
        random = SeededRandom(state: seed)
        var truth = Truth(seed: seed &+ 1000)
        for connection in ["c0", "c1", "c2", "c13"] {
            truth.old[connection] = (0..<70).map { "old_\(connection)_\($0)" }
        }
        upstream = LyingUpstream(truth)
        questions = JobQuestions(questions: upstream, path: ScriptedQuestions.path)
        journal = LeaseJournal(disk: disk, leastCompaction: 4000) { _ in }
        table = LeaseTable(shardCount: 1, journal: journal)
        journal.step()
    }

    var truth: Truth { upstream.truth.withLock { $0 } }

    var summary: String {
        "\(truth.started) started, \(truth.others) by others, \(refused) refused, \(lost) lost, \(crashes) crashes, \(truth.denials) denied, "
            + "\(truth.lies) lies, \(mostLeases) leases"
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
        journal.step()
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
                from: LeaseOrigin(pathStart: "/", patience: .milliseconds(Self.patience)), matrix: Self.matrix,
                now: Int64(now))
            while !journal.isDurableForTest(lease.position) { journal.step() }
            lease.forwarded(at: instant)
            // Most are at once with the upstream; one whose answer is lost may take as long as it may.
            let isLost = chance(4)
            let delay = Int.random(in: 0..<(isLost ? Self.patience : 300), using: &random)
            requests.append(
                Request(lease, connection: connection, sentAt: now, arrivesAt: now + delay, isLost: isLost))
            if isLost { lose(requests[requests.count - 1]) }
        } catch { refused += 1 }
    }

    private mutating func lose(_ request: Request) {
        lost += 1
        guard let lease = request.lease.take() else { return }
        if chance(2) { lease.settle(status: 504, started: nil, now: Int64(now)) }
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
                ? RemoteJobs(leases: table, questions: questions).started(
                    by: Array(answer.body.utf8).span, key(job.connection), kind: Self.sync,
                    family: family(job.connection))
                : nil
            lease.settle(status: answer.status, started: started, now: Int64(now))
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
        let watched = table.watched()
        mostLeases = max(mostLeases, watched.count)
        for lease in watches.note(watched, now: instant) { table.endRequest(lease.key, lease.serial) }
        await ask()
    }

    private mutating func ask() async {
        while true {
            let leases = watches.next(now: instant)
            guard let first = leases.first else { return }
            let moment = table.moment()
            let answers =
                leases.count > 1
                ? await questions.ask(about: leases).answers : [await questions.ask(about: first)]
            let delay = chance(3) ? Int.random(in: 0..<9000, using: &random) : 20
            pending.append(
                Pending(leases: leases, answers: answers, moment: moment, askedAt: instant, at: now + delay))
        }
    }

    private mutating func deliver() {
        let time = now
        for answered in pending where answered.at <= time {
            for (lease, answer) in zip(answered.leases, answered.answers) {
                table.apply(
                    answer, to: lease, answered.moment, &watches, askedAt: answered.askedAt, now: instant, jitter: 1.1)
            }
        }
        pending.removeAll { $0.at <= time }
    }

    private mutating func crash() throws {
        crashes += 1
        disk = chance(2) ? disk.killed() : disk.crashed(&random)
        let entries = try LeaseJournal.recover(from: disk) { _ in }
        journal = LeaseJournal(disk: disk, leastCompaction: 4000) { _ in }
        let before = requests
        table = LeaseTable(shardCount: 1, journal: journal)
        for entry in entries { table.restore(entry, matrix: Self.matrix, now: Int64(now)) }
        journal.step()
        for request in before { request.lease = nil }
        watches = JobWatches()
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
        #expect(table.usage() == LeaseTable.Usage(), "at \(now): \(table.watched())")
        upstream.truth.withLock { $0.isHonest = false }
    }
}
