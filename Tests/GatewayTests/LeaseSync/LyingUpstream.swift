import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Transport

/// What really runs, and what the upstream has said of it.
struct Truth {
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
    private var statuses: [String: InternalResponse] = [:]

    /// 2023-11-14T00:00:00Z.
    static let midnight = 1_699_920_000_000
    /// Milliseconds that a request may take, and those after which a job that was not found is gone.
    static let responseTimeout = 8000
    static let missing = 5000

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
        let isTwice = job.omittedAt.contains { now - $0 >= Truth.missing }
        if isTwice || now - (job.sentAt ?? 0) >= Truth.responseTimeout { deny(id) }
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
    mutating func answer(_ target: String) -> InternalResponse? {
        if !isHonest, chance(3) {
            lies += 1
            if chance(4) { return nil }
            let (status, body) = Self.garbage.randomElement(using: &random) ?? (404, "")
            return InternalResponse(status: status, body: Array(body.utf8))
        }
        if !isHonest, chance(12), let stored = statuses[target] {
            return InternalResponse(status: stored.status, body: stored.body, isFromCache: true)
        }
        let answer = read(target)
        statuses[target] = answer
        return answer
    }

    private mutating func read(_ target: String) -> InternalResponse {
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

    private mutating func one(_ id: String) -> InternalResponse {
        guard let job = jobs[id] else {
            if old.values.contains(where: { $0.contains(id) }), chance(2) {
                let connection = old.first { $0.value.contains(id) }?.key ?? ""
                return good(object(id, connection, status: "succeeded", startedAt: nil))
            }
            return InternalResponse(status: 404, body: [])
        }
        if !isHonest {
            // Somebody else's job, or the job of somewhere else, says nothing.
            if chance(6) { return good(object(id, "elsewhere", status: "failed", startedAt: nil)) }
            if chance(6) { return InternalResponse(status: 404, body: []) }
            if chance(80) {
                deny(id)
                return good(object(id, job.connection, status: "cancelled", startedAt: nil))
            }
        }
        return good(honest(job))
    }

    private mutating func list(of connection: String, offset: Int, isBare: Bool) -> InternalResponse {
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

    private mutating func listOfAll(offset: Int) -> InternalResponse {
        var shown: [String] = []
        for job in jobs.values.sorted(by: { $0.startedAt > $1.startedAt }) where isHonest || !chance(3) {
            shown.append(honest(job))
        }
        return good(#"{"data":["# + shown.dropFirst(offset).prefix(100).joined(separator: ",") + "]}")
    }

    /// Shorter than what is asked for.
    private var pageLength: Int { 30 }

    private func good(_ body: String) -> InternalResponse { InternalResponse(status: 200, body: Array(body.utf8)) }

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

final class LyingUpstream: InternalRequesting {
    let truth: Mutex<Truth>

    init(_ truth: Truth) { self.truth = Mutex(truth) }

    func get(_ target: String, for organization: String, before deadline: Instant) async throws(UpstreamFailure)
        -> InternalResponse
    {
        guard let answer = truth.withLock({ $0.answer(target) }) else { throw .responseTimeout }
        return answer
    }
}
