internal import HTTP
internal import Policy
internal import Transport

// The last stage: the request is counted and logged, whatever became of it.
extension Worker {
    /// A stage is over. Reads the clock only if the access log shows it.
    func mark(_ stage: Stage, _ exchange: inout Exchange) {
        if exchange.policies.accessLog == .all { exchange.times.ended(stage, at: Instant.now().nanoseconds) }
    }

    func record(_ exchange: consuming Exchange, _ connection: borrowing ServerConnection, _ response: Response) {
        exchange.times.ended(.record, at: Instant.now().nanoseconds)
        exchange.policies.counters(of: exchange.route).record(
            status: response.status, stage: exchange.endingStage, duration: exchange.times.total)
        counts.add(UInt64(connection.head.end + exchange.bodyBytes), to: .bytesIn)
        counts.add(UInt64(exchange.bytesOut), to: .bytesOut)
        let isLogged =
            switch exchange.policies.accessLog {
            case .all: true
            case .errors: response.status >= 400
            case .off: false
            }
        if isLogged { log(exchange, connection, response) }
    }

    /// Tells how many lines were left out.
    func tellSuppressedLines() {
        for suppressed in shared.logShares.takeSuppressed() {
            var record = AccessRecord()
            record.epochMilliseconds = milliseconds()
            record.organization = suppressed.organization
            record.client = suppressed.client
            accessLog.append(suppressedLines: suppressed.lines, record)
        }
    }

    private func log(_ exchange: borrowing Exchange, _ connection: borrowing ServerConnection, _ response: Response) {
        var record = AccessRecord()
        let isHeadRead = exchange.endingStage != .head
        let head = connection.input.span.extracting(
            connection.headStart..<connection.headStart + (isHeadRead ? connection.head.end : 0))
        record.epochMilliseconds = milliseconds()
        record.traceID = exchange.trace.traceID
        let client = ClientAddress.find(connection.peer, exchange.policies, connection.head, head)
        if response.status >= 400, let rate = exchange.policies.set.settings.accessLogErrors {
            let organization = exchange.organization ?? exchange.principal?.organizations.first
            guard shared.logShares.admits(organization, client, rate, now: loop.now.nanoseconds) else {
                return counts.add(to: .logLinesSuppressed)
            }
        }
        record.client = client
        record.organization = exchange.organization?.id
        record.tokenID = exchange.principal?.tokenID
        record.operation = exchange.route?.id
        record.connection = exchange.connection
        record.job = exchange.startedJob
        record.isTLS13 = connection.isTLS13
        if isHeadRead {
            let path = connection.head.path
            record.method = connection.head.method.name
            record.path = path
            record.userAgent = connection.head.fields.first { $0.name == .userAgent }?.value ?? 0..<0
            record.isHTTP10 = connection.head.isHTTP10
            if let job = exchange.jobInPath {
                record.jobInHead = path.lowerBound + job.lowerBound..<path.lowerBound + job.upperBound
            }
        }
        record.status = response.status
        record.code = response.errorCode
        record.origin = exchange.origin
        record.cause = exchange.cause
        record.upstreamError = exchange.upstreamText.map { withoutSecrets($0, connection) }
        record.upstream = exchange.endpoint?.name
        record.attempts = exchange.attempts
        record.stage = exchange.endingStage
        record.policyVersion = exchange.policies.shortVersion
        record.bytesIn = connection.head.end + exchange.bodyBytes
        record.bytesOut = exchange.bytesOut
        record.times = exchange.times
        if let rejection = exchange.rejection { record.explain(rejection) }
        accessLog.append(record, head: head)
    }
}

extension Worker {
    /// A text of the upstream's with stars for the credentials that the request took there: some services show what they got.
    private func withoutSecrets(_ text: String, _ connection: borrowing ServerConnection) -> String {
        var secrets: [String] = []
        for field in [remote?.cluster.plan.credential, remote?.cluster.plan.ownCredential] {
            if let field { secrets.append(field.value) }
        }
        for field in [connection.head.authorization, connection.head.apiKey] {
            if let field { secrets.append(connection.text(field)) }
        }
        var text = text
        for secret in secrets {
            // With the scheme before it, and without.
            let bare = secret.split(separator: " ").last.map(String.init) ?? ""
            for part in [secret, bare] where !part.isEmpty { text = text.replacing(part, with: "***") }
        }
        return text
    }
}

extension AccessRecord {
    /// Which rule refused, and why.
    mutating func explain(_ rejection: Rejection) {
        switch rejection {
        case .refusal(.organizationDenied(_, _, let asked), _): organizationAsked = asked
        case .refusal(.insufficientScope(let route, let principal, _, _), _):
            missingScope = route.scopesMissing(in: principal.scopes)
        case .refusal: break
        case .failure(let failure):
            cause = failure.cause ?? cause
            retryAfterSeconds = failure.retryAfterSeconds ?? retryAfterSeconds
            switch failure.kind {
            case .rateLimited(let name, let seconds):
                limit = name
                retryAfterSeconds = max(1, seconds)
            case .jobRunning(let conflict, _), .stateLocked(let conflict, _):
                lease = conflict
                retryAfterSeconds = max(1, conflict.retryAfterSeconds)
            default: break
            }
        }
    }
}
