import HTTP
import Synchronization

@testable import Gateway

/// An upstream in memory that does what a test tells it.
final class ScriptedUpstream: InProcessUpstream {
    typealias Script =
        @Sendable (UpstreamRequest, ScriptedUpstream) async throws(UpstreamFailure) -> UpstreamResponse

    private struct State {
        var script: Script = { _, _ in UpstreamResponse(status: 200, body: Array("{}".utf8)) }
        var requests: [UpstreamRequest] = []
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
        answers { _, _ in
            UpstreamResponse(status: status, contentType: contentType, body: Array(body.utf8), startedJob: job)
        }
    }

    func fails(_ failure: UpstreamFailure) { answers { (_, _) throws(UpstreamFailure) in throw failure } }

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

    var requests: [UpstreamRequest] { state.withLock { $0.requests } }

    func tryRespond(to request: UpstreamRequest) -> UpstreamResponse? { nil }

    func respond(to request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse {
        let script = state.withLock { state in
            state.requests.append(request)
            return state.script
        }
        return try await script(request, self)
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
