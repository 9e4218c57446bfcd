internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// One request in the pipeline, with the results of its stages.
///
/// Noncopyable, so that passing it on is cheap.
struct Exchange: ~Copyable {
    private let inPlace = AddressPin()
    let trace: TraceContext
    /// The policies that decide this request, even if others are loaded meanwhile.
    let policies: WorkerPolicies
    /// The duration of each stage.
    var times: StageTimes

    /// The stage that ended the request.
    var endingStage = Stage.record
    var route: Route?
    var family = RouteFamily.other
    var principal: Principal?
    var organization: Organization?
    /// The connection that the request is about, in canonical spelling.
    var connectionID: String?
    /// The limits of the request, with the limiter's results.
    var limits: [LimitRule] = []
    var batch = RateLimitBatch()
    /// The response has no body, because the method is HEAD.
    var isHead = false
    var bodyBytes = 0
    /// The body as JSON, if a stage has parsed it for the connector service of this process.
    var bodyValue: JSONValue?
    /// The body's part of the memory for all bodies.
    var allowance = BodyMemoryPermit()
    /// The permit for a request in flight to a remote upstream.
    var permit: UpstreamPermit?
    /// The endpoint that got the request last.
    var endpoint: Endpoint?
    /// The number of connections on which sending the request upstream was tried.
    var attempts = 0
    /// Whether a part of the request may have reached the upstream.
    var isForwarded = false
    /// Whether sending was tried, and nothing reached the remote upstream.
    var isUnsent: Bool { attempts > 0 && !isForwarded }
    /// The size of the response's head and body.
    var bytesOut = 0
    /// The field that carried the credential. Error codes depend on it.
    var credentialField = CredentialField.bearer
    /// The side that is at fault.
    var origin: Failure.Origin?
    /// The cause of a failure, for operators only.
    var cause: String?
    /// The gateway's refusal or failure, for the log.
    var rejection: Rejection?
    /// The range of the job in the path, relative to the start of the path.
    var jobInPath: Range<Int>?
    /// The job that the request started.
    var startedJob: String?
    /// The generation of the request's lease, or of the one that answers it; `nil` if there is none.
    var leaseGeneration: UInt64?
    /// What became of a request that was not simply sent upstream.
    var outcome: RequestOutcome?
    /// When the total time of the upstream begins: the start of the request, later by the time for which it waited for its
    /// connection, for another request's job, or for the first request with its key.
    private(set) var workFrom: Instant
    /// What became of the upstream's 409, although the connection was free here.
    var upstreamLag: UpstreamLagResult?
    /// The part of the client's `Prefer: wait` that was granted (RFC 7240, section 3).
    var appliedWaitSeconds: Int?
    /// The confirmation that the request has used up; `nil` if it needs none.
    var usedConfirmation: ConfirmationToken?
    /// The request's idempotency key, with what became of it; `nil` if there is none.
    var keyed: KeyedRequest?
    /// The upstream's text for its error, one line of at most 512 bytes, for operators only.
    var upstreamText: String?

    init(trace: TraceContext, policies: WorkerPolicies, startedAt: Instant) {
        self.trace = trace
        self.policies = policies
        times = StageTimes(start: startedAt.nanoseconds)
        workFrom = startedAt
    }

    /// Whether the request waited. Meanwhile its token may have expired, or a reload may have taken it.
    var hasWaited: Bool { workFrom.nanoseconds != times.start }

    /// The request waited from `start` to `end`.
    mutating func waited(from start: Instant, to end: Instant) { workFrom = workFrom + (end - start) }

    /// A stage has ended. Reads the clock only if the access log has all requests.
    mutating func mark(_ stage: Stage) {
        // A pattern, because `==` of a type in another module is a call.
        if case .all = policies.accessLog { times.ended(stage, at: Instant.now().nanoseconds) }
    }

    /// Records what a grant says about the request.
    mutating func granted(_ grant: borrowing Grant) {
        route = grant.route
        family = grant.route.family
        principal = grant.principal
        organization = grant.organization
        jobInPath = grant.captures.job
        mark(.authorize)
    }

    /// Records the failure for the log and the metrics.
    mutating func failed(_ failure: Failure, _ counts: WorkerMetrics) {
        endingStage = failure.stage
        origin = failure.origin
        rejection = .failure(failure)
        guard case .upstream(let upstreamFailure) = failure.kind else { return }
        cause = upstreamFailure.explanation
        counts.upstreamFailed(upstreamFailure)
    }

    /// Whether the response says more about the request's admission than its status does.
    var hasAdmissionFields: Bool { outcome != nil || appliedWaitSeconds != nil }

    /// Whether a body follows the head. Some responses have none, even if their head has a length (RFC 9112, section 6.3).
    func hasBody(_ response: borrowing Response) -> Bool { !isHead && !HTTPStatus.hasNoBody(response.status) }
}
