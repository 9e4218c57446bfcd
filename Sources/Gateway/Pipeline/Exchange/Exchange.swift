internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// One request on its way through the pipeline: what the stages found out so far.
///
/// Noncopyable, so that passing it on costs nothing.
struct Exchange: ~Copyable {
    private let inPlace = AddressPin()
    let trace: TraceContext
    /// The set that decides this request, whatever is loaded meanwhile.
    let policies: CompiledPolicies
    /// How long each stage took.
    var times: StageTimes

    /// The stage that ended the request.
    var endingStage = Stage.record
    var route: Route?
    var family = RouteFamily.other
    var principal: Principal?
    var organization: Organization?
    /// The connection the request is about, in its one spelling.
    var connectionID: String?
    /// The limits that apply, and what the limiter said about them.
    var limits: [LimitRule] = []
    var batch = RateLimitBatch()
    /// The answer is a head only.
    var isHead = false
    var bodyBytes = 0
    /// The body as JSON, where a stage has read it for the connector service of this process; it goes there with the request.
    var bodyValue: JSONValue?
    /// What the body takes of the memory for all bodies.
    var allowance = BodyMemoryPermit()
    /// Its place among the requests under way to a remote upstream.
    var permit: UpstreamPermit?
    /// Where it went last.
    var endpoint: Endpoint?
    /// How often it was sent upstream.
    var attempts = 0
    /// A part of it may have reached the remote upstream.
    var isForwarded = false
    /// Head and body of the answer.
    var bytesOut = 0
    /// Which header the credential came in, whose words an answer uses.
    var credentialField = CredentialField.bearer
    /// Who is to blame for a failure.
    var origin: Failure.Origin?
    /// Why a failure happened, for the operator only.
    var cause: String?
    /// What the gateway refused the request with, for the log.
    var rejection: Rejection?
    /// Where the path names a job, counted from the path's beginning.
    var jobInPath: Range<Int>?
    /// The job that the request started.
    var startedJob: String?
    /// The upstream's own words for its error, one line of at most 512 bytes, for the operator only.
    var upstreamText: String?

    init(trace: TraceContext, policies: CompiledPolicies, startedAt: Instant) {
        self.trace = trace
        self.policies = policies
        times = StageTimes(start: startedAt.nanoseconds)
    }

    /// A stage is over. Reads the clock only if the access log shows it.
    mutating func mark(_ stage: Stage) {
        // A pattern: `==` of another module's type is a call.
        if case .all = policies.accessLog { times.ended(stage, at: Instant.now().nanoseconds) }
    }

    /// Where the request ended and why, for the log and the metrics.
    mutating func failed(_ failure: Failure, _ counts: WorkerMetrics) {
        endingStage = failure.stage
        origin = failure.origin
        rejection = .failure(failure)
        guard case .upstream(let upstreamFailure) = failure.kind else { return }
        cause = upstreamFailure.explanation
        counts.upstreamFailed(upstreamFailure)
    }

    /// Nothing follows the head of some responses, whatever length it announced (RFC 9112, section 6.3).
    func hasBody(_ response: borrowing Response) -> Bool { !isHead && !HTTPStatus.hasNoBody(response.status) }
}
