internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// The last stage: counts and logs the request, whatever its result.
struct RecordStage {
    private let counts: WorkerMetrics
    private var lines: AccessLogBuffer
    private let shares: AccessLogShares
    private let clock: WallClock

    init(counts: WorkerMetrics, log: AccessLogQueue, shares: AccessLogShares, clock: WallClock) {
        self.counts = counts
        lines = AccessLogBuffer(queue: log)
        self.shares = shares
        self.clock = clock
    }

    mutating func record(
        _ exchange: consuming Exchange, _ request: borrowing Request, _ response: borrowing Response, now: Instant
    ) {
        exchange.times.ended(.record, at: Instant.now().nanoseconds)
        exchange.policies.counters(of: exchange.route).record(
            status: response.status, stage: exchange.endingStage, duration: exchange.times.total)
        counts.add(UInt64(request.head.end + exchange.bodyBytes), to: .bytesIn)
        counts.add(UInt64(exchange.bytesOut), to: .bytesOut)
        if let use = exchange.keyed?.use { counts.keyUsed(use) }
        if let outcome = exchange.outcome { counts.add(to: WorkerMetrics.Count(outcome)) }
        let isLogged =
            switch exchange.policies.accessLog {
            case .all: true
            case .errors: response.status >= 400
            case .off: false
            }
        if isLogged { log(exchange, request, response, now) }
    }

    /// Moves the lines to the queue of the log's writer.
    mutating func flush() { lines.flush() }

    /// Logs the number of suppressed lines.
    mutating func recordSuppressedLines() {
        for suppressed in shares.takeSuppressed() {
            var record = AccessRecord()
            record.epochMilliseconds = clock.milliseconds
            record.organization = suppressed.organization
            record.client = suppressed.client
            lines.append(suppressedLines: suppressed.lines, record)
        }
    }

    private mutating func log(
        _ exchange: borrowing Exchange, _ request: borrowing Request, _ response: borrowing Response, _ now: Instant
    ) {
        var record = AccessRecord()
        let isHeadRead = exchange.endingStage != .head
        let head = request.headBytes.extracting(0..<(isHeadRead ? request.head.end : 0))
        record.epochMilliseconds = clock.milliseconds
        record.traceID = exchange.trace.traceID
        let address = ClientAddress.find(request.peer, exchange.policies, request.head, head)
        if response.status >= 400, let rate = exchange.policies.set.settings.accessLogErrors {
            let organization = exchange.organization ?? exchange.principal?.organizations.first
            guard shares.admits(organization, address, rate, now: now.nanoseconds) else {
                return counts.add(to: .logLinesSuppressed)
            }
        }
        record.client = address
        record.organization = exchange.organization?.id
        record.tokenID = exchange.principal?.tokenID
        record.operation = exchange.route?.id
        record.connection = exchange.connectionID
        record.job = exchange.startedJob
        record.generation = exchange.leaseGeneration
        record.outcome = exchange.outcome
        record.upstreamLag = exchange.upstreamLag
        record.idempotency = exchange.keyed?.use
        record.isTLS13 = request.isTLS13
        if isHeadRead {
            let path = request.head.path
            record.method = request.head.method.name
            record.path = path
            record.userAgent = request.head.fields.first { $0.name == .userAgent }?.value ?? 0..<0
            record.isHTTP10 = request.head.isHTTP10
            if let job = exchange.jobInPath {
                record.jobInHead = path.lowerBound + job.lowerBound..<path.lowerBound + job.upperBound
            }
        }
        record.status = response.status
        record.code = response.errorCode
        record.retryAfterSeconds = response.retryAfterSeconds
        record.origin = exchange.origin
        record.cause = exchange.cause
        record.upstreamError = exchange.upstreamText.map { $0.masking(RecordStage.credentials(of: request)) }
        record.upstream = exchange.endpoint?.name
        record.attempts = exchange.attempts
        record.stage = exchange.endingStage
        record.policyVersion = exchange.policies.shortVersion
        record.bytesIn = request.head.end + exchange.bodyBytes
        record.bytesOut = exchange.bytesOut
        record.times = exchange.times
        if let rejection = exchange.rejection { record.explain(rejection) }
        lines.append(record, head: head)
    }
}

extension RecordStage {
    /// The credentials that the request took to the upstream.
    private static func credentials(of request: borrowing Request) -> [String] {
        var credentials: [String] = []
        for field in [request.head.authorization, request.head.apiKey] {
            if let field { credentials.append(request.text(field)) }
        }
        return credentials
    }
}

extension AccessRecord {
    /// Records the rule that refused, and the reason.
    mutating func explain(_ rejection: Rejection) {
        switch rejection {
        case .refusal(.organizationDenied(_, _, let asked), _): requestedOrganization = asked
        case .refusal(.insufficientScope(let route, let principal, _, _), _):
            missingScope = route.scopesMissing(in: principal.scopes)
        case .refusal: break
        case .failure(let failure):
            cause = failure.cause ?? cause
            switch failure.kind {
            case .rateLimited(let refusal), .authenticationsLimited(let refusal): limit = refusal.limit
            case .tooManyJobs(let refusal): limit = refusal.cap.name
            case .jobRunning(let conflict, _), .stateLocked(let conflict, _): lease = conflict
            default: break
            }
        }
    }
}
