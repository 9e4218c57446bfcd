import HTTP
import Synchronization

@testable import Gateway

/// An upstream in memory that does what a test tells it.
final class ScriptedUpstream: InProcessUpstream {
    typealias Script = @Sendable (ScriptedUpstream) async throws(UpstreamFailure) -> UpstreamResponse

    /// What a request had when it arrived.
    struct Arrival {
        let target: [UInt8]
        let body: [UInt8]
        let organization: String
        let trace: TraceContext
    }

    private struct State {
        var script: Script = { _ in UpstreamResponse(status: 200, body: Array("{}".utf8)) }
        var requests: [Arrival] = []
        var running: [RunningJob] = []
        var isSilent = false
        var observers: [@Sendable (RunningJob) -> Void] = []
    }

    private let state = Mutex(State())

    static let key = LeaseKey(organization: "org_a", connection: "conn_1")

    static func job(_ id: String, status: String = "running", key: LeaseKey = key) -> RunningJob {
        RunningJob(key: key, job: LeaseJob(id: id, type: "sync", status: status, location: "/jobs/\(id)"))
    }

    /// What happens to requests from now on.
    func answers(_ script: @escaping Script) { state.withLock { $0.script = script } }

    func answers(
        _ status: Int, _ body: String = "{}", contentType: String = "application/json", job: RunningJob? = nil
    ) {
        answers { _ in
            UpstreamResponse(status: status, contentType: contentType, body: Array(body.utf8), startedJob: job)
        }
    }

    func fails(_ failure: UpstreamFailure) { answers { (_) throws(UpstreamFailure) in throw failure } }

    /// What is told to whoever asks which jobs run; `nil` for no answer.
    func tells(running jobs: [RunningJob]?) {
        state.withLock { state in
            state.running = jobs ?? []
            state.isSilent = jobs == nil
        }
    }

    /// Tells everybody who observes.
    func observed(_ job: RunningJob) {
        for observer in state.withLock({ $0.observers }) { observer(job) }
    }

    var requests: [Arrival] { state.withLock { $0.requests } }

    func respondFromMemory(to request: consuming UpstreamRequest) -> UpstreamResponse? { nil }

    func respond(to request: consuming UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse {
        let arrival = Arrival(
            target: request.target, body: request.body, organization: request.organization, trace: request.trace)
        let script = state.withLock { state in
            state.requests.append(arrival)
            return state.script
        }
        return try await script(self)
    }

    func connection(ofJob job: String, organization: String) async throws(UpstreamFailure) -> String? {
        job.hasPrefix("job_") && organization == "org_a" ? "conn_1" : nil
    }

    func runningJobs() async throws(UpstreamFailure) -> [RunningJob] {
        let (jobs, isSilent) = state.withLock { ($0.running, $0.isSilent) }
        if isSilent { throw .responseTimeout }
        return jobs
    }

    func observeJobs(_ observer: @escaping @Sendable (RunningJob) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }
}

/// Holds tasks up until it is opened.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
