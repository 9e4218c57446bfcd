import Policy
import TestSupport
import Testing

@testable import Gateway

/// Random interleavings of requests, upstream work and events on one connection, against the truth.
@Suite("Lease model")
struct LeaseModelTests {
    private static let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
    private static let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
    private static let key = LeaseKey(organization: "o", connection: "c")

    /// A request that holds a reservation, with the job it started, if it did.
    private struct Request: ~Copyable {
        var lease: Lease
        var job: String?
    }

    @Test("LeaseTable model: never two jobs run, and the connection is free once all have ended", arguments: 0..<40)
    func interleavings(seed: Int) {
        var random = FastRandom(seed: SeededRandom(state: UInt64(seed)))
        let table = LeaseTable(shardCount: 1)
        // The truth: what the upstream runs, and which ends it has not told yet.
        var running: Set<String> = []
        var untold: [String] = []
        var request: Request?
        var nextJob = 0
        var question: (LeaseRevision, Set<String>)?
        var now: Int64 = 0

        func busy() -> Bool { table.conflict(Self.key, kind: Self.sync, matrix: Self.matrix, now: Moment(now)) != nil }

        for _ in 0..<3000 {
            now += 1
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1:
                let hadRequest = request != nil
                if let lease = try? table.reserve(Self.key, kind: Self.sync, matrix: Self.matrix, now: Moment(now)) {
                    #expect(!hadRequest)
                    #expect(running.isEmpty)
                    request = Request(lease: lease, job: nil)
                }
            case 2:
                // The request reaches the upstream, which starts a job.
                guard var open = request.take() else { break }
                if open.job == nil {
                    open.lease.forwarded()
                    open.job = "job_\(nextJob)"
                    running.insert("job_\(nextJob)")
                    #expect(running.count == 1)
                    nextJob += 1
                }
                request = consume open
            case 3:
                // The answer arrives, or the upstream had refused.
                guard let open = request.take() else { break }
                if let id = open.job {
                    open.lease.bind(LeaseJob(id: id, type: "sync", status: "pending"), now: Moment(now))
                } else {
                    open.lease.release()
                }
            case 4 where Int.random(in: 0..<4, using: &random) == 0:
                // The request dies.
                request = nil
            case 5:
                if let id = running.first {
                    running.remove(id)
                    untold.append(id)
                }
            case 6:
                if !untold.isEmpty {
                    let index = Int.random(in: untold.indices, using: &random)
                    table.jobEnded(Self.key, jobID: untold.remove(at: index), now: Moment(now))
                }
            default:
                // The watcher asks; its answer is the truth of some moment since, and may come late.
                if let (revision, jobs) = question.take() {
                    let jobs = jobs.map {
                        RunningJob(key: Self.key, job: LeaseJob(id: $0, type: "sync", status: "running"))
                    }
                    table.reconcile(running: jobs, asOf: revision, now: Moment(now))
                } else {
                    let revision = table.revision()
                    question = (revision, running)
                }
            }
            if !running.isEmpty { #expect(busy()) }
            #expect(table.usage().reserved + table.usage().held + table.usage().uncertain <= 1)
        }

        request = nil
        for id in untold + running { table.jobEnded(Self.key, jobID: id, now: Moment(now)) }
        table.reconcile(running: [], asOf: table.revision(), now: Moment(now))
        #expect(!busy())
        #expect(table.usage() == LeaseTable.Usage())
    }
}
