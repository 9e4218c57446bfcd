import Policy
import TestSupport

@testable import Gateway

/// The upstream, which knows the truth: which jobs really work, on which connection, and since when.
///
/// It lies as far as the gateway promises to cope: see the article Simulation.
struct SimulatedUpstream {
    struct Job {
        let id: String
        let connection: String
        let startedAt: Int
        /// From when on lists show it.
        let visibleAt: Int
        /// The request that started it; `nil` for one that somebody started without the gateway.
        var request: RequestFacts?
        var status = "running"
        /// When its work stops, after the upstream has called it over.
        var worksUntil = Int.max
        /// The upstream has once denied a job that it has.
        var wasDenied = false

        func isAtWork(_ now: Int) -> Bool { now < worksUntil }
    }

    private(set) var jobs: [Job] = []
    private var nextJob = 1
    /// Whether it says when a job has started. If it does, the clocks agree within a minute.
    let tellsTimes: Bool
    /// Whether lists show a job as soon as it has begun.
    private let showsAtOnce: Bool

    /// How long a new job is not shown, at most.
    static let maxBlindness = 1500
    /// How long work goes on after CANCELLED, at most.
    static let maxZombie = SimulatedPolicies.shortestSettle - 100
    /// The jobs of a page of its lists.
    private static let pageLength = 100

    init(tellsTimes: Bool, showsAtOnce: Bool) {
        self.tellsTimes = tellsTimes
        self.showsAtOnce = showsAtOnce
    }

    func job(_ id: String) -> Job? { jobs.first { $0.id == id } }

    func atWork(_ now: Int) -> [Job] { jobs.filter { $0.isAtWork(now) } }

    func visible(on connection: String, _ now: Int) -> [Job] {
        jobs.filter { $0.connection == connection && $0.visibleAt <= now }
    }

    mutating func change(_ id: String, _ change: (inout Job) -> Void) {
        if let index = jobs.firstIndex(where: { $0.id == id }) { change(&jobs[index]) }
    }

    /// A job begins; or an old one begins again, if the request may do that.
    mutating func start(
        _ connection: String, for request: RequestFacts?, again: Bool, now: Int, _ random: inout SeededRandom
    ) -> Job {
        if again, let index = jobs.lastIndex(where: { $0.connection == connection && !$0.isAtWork(now) }) {
            let old = jobs[index]
            jobs[index] = Job(
                id: old.id, connection: connection, startedAt: now, visibleAt: old.visibleAt, request: request)
            return jobs[index]
        }
        if jobs.count > 30, let old = jobs.firstIndex(where: { !$0.isAtWork(now - 60_000) }) { jobs.remove(at: old) }
        let job = Job(
            id: "job_\(nextJob)", connection: connection, startedAt: now,
            visibleAt: now + (showsAtOnce ? 0 : Int.random(in: 0...Self.maxBlindness, using: &random)), request: request
        )
        nextJob += 1
        jobs.append(job)
        return job
    }

    // What it says.

    func shown(_ job: Job, _ clock: SimulatedClock) -> LeaseJob {
        LeaseJob(
            id: job.id, type: job.request?.kind.name ?? "sync", status: job.status,
            startedAt: tellsTimes ? clock.timeOfDay - Int64(clock.now - job.startedAt) : nil)
    }

    /// The answer to a poll, through the gateway's own rules for lists.
    func answer(_ lease: PolledLease, _ clock: SimulatedClock) -> JobStatus {
        let visible = visible(on: lease.key.connection, clock.now)
        if let wanted = lease.job, let job = visible.first(where: { $0.id == wanted.id }) {
            return .job(shown(job, clock))
        }
        var listing = JobListing(of: lease, until: lease.job?.id)
        let payloads = visible.map { job in
            let shown = shown(job, clock)
            return JobPayload(
                id: job.id, spelling: job.id, connection: job.connection, status: shown.status, type: shown.type,
                startedAt: shown.startedAt, createdAt: shown.startedAt)
        }
        let page = JobList(jobs: payloads, total: payloads.count, hasNextPage: nil, unreadable: 0)
        guard listing.received(page) == .end, listing.doubt == nil else { return .unknown(.unreadable) }
        return lease.job == nil ? .jobs(listing.jobs.map { $0.job(type: lease.kind, location: nil) }) : .notFound
    }
}
