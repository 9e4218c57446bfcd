internal import HTTP
package import Policy

/// An error response before it is rendered.
package struct ErrorResponse: Equatable, Sendable {
    package var status: Int
    /// A code of the catalogue (``ErrorEntry/code``), or one that the upstream or an error rule gave.
    package var code: String
    package var message: String
    /// The members of `details` in the envelope.
    package var details: [ErrorDetail.Member] = []
    /// The value of `Retry-After`; `nil` if the response has none.
    package var retryAfterSeconds: Int?
    /// The cap of running jobs that refuses the request; shown in the fields for limits.
    package var jobCap: JobCap?
    /// The challenge that a 401 must have (RFC 9110, section 15.5.2).
    package var authenticate: BearerChallenge?
    /// The value of `Allow`, which a 405 must have (RFC 9110, section 15.5.6).
    package var allow: String?
    /// The value of `Location`: the path of the job that causes a 409.
    package var location: String?
    /// The `error` of `Proxy-Status` (RFC 9209, section 2.3); `nil` if the client is at fault.
    package var proxyError: String?
    /// The upstream's status, if this response replaces an error of the upstream.
    package var receivedStatus: Int?
    /// The upstream's text for developers, in addition to the message.
    package var systemMessage: String?
    /// Whether the connection closes after the response, because the start of the next request is unknown.
    package var closesConnection = false

    init(_ code: ErrorCode, message: String? = nil, details: [ErrorDetail.Member] = []) {
        let entry = code.entry
        status = entry.status
        self.code = entry.code
        self.message = message ?? entry.message
        self.details = details
    }

    /// The response to a rejection. Only this initializer chooses the ``ErrorCode``, sets the fields, and decides whether the
    /// connection closes. The entry of the ``ErrorCode`` has the status and the code.
    package init(_ rejection: Rejection) {
        switch rejection {
        case .refusal(.noRoute, _): self.init(.notFound)
        case .refusal(.methodNotAllowed(let allow, _), _):
            self.init(.methodNotAllowed)
            self.allow = allow
        case .refusal(.ambiguousPath, _): self.init(.ambiguousPath)
        case .refusal(.unauthenticated(_, let reason), let field):
            self.init(.unauthenticated(reason, in: field))
            // This code is a 400, and a challenge would ask for a third credential.
            if reason != .ambiguous { authenticate = reason == .missing ? .missing : .invalidToken }
        case .refusal(.organizationDenied(_, _, let asked), _):
            self.init(.organizationAccessDenied, details: [.init("organization_id", .string(asked))])
        case .refusal(.ambiguousOrganization, _): self.init(.ambiguousOrganization)
        case .refusal(.insufficientScope(_, _, _, let required), _):
            self.init(.insufficientPermissions, details: [.init("required_scope", .string(required))])
            authenticate = .insufficientScope(required)

        case .failure(let failure):
            self.init(for: failure.kind)
            if let seconds = failure.retryAfterSeconds { retryAfterSeconds = seconds }
        }
    }

    private init(for kind: Failure.Kind) {
        switch kind {
        case .plainHTTP: self.init(.tlsRequired, closes: true)
        case .head(let error): self.init(for: error)
        case .framing(let error):
            self.init(.badRequest, closes: true, details: [.init("reason", .string(error.reason))])
        case .headTimeout, .bodyTimeout: self.init(.requestTimeout, closes: true)
        case .bodyIncomplete:
            self.init(.badRequest, closes: true, details: [.init("reason", .string("the body ended early"))])
        case .clientGone: self.init(.clientClosedRequest, closes: true)
        case .bodyTooLarge(let limit):
            self.init(.payloadTooLarge, closes: true, details: [.init("limit_bytes", .integer(limit))])
        case .unsupportedMediaType:
            self.init(
                .unsupportedMediaType,
                details: [
                    .init("accept", .string("application/json")), .init("charset", .string("utf-8")),
                    .init("content_encoding", .string("identity")),
                ])
        case .invalidJSON(let reason, let offset):
            self.init(.invalidJSON, details: [.init("reason", .string(reason)), .init("offset", .integer(offset))])
        case .invalidField(let name, let reason):
            self.init(
                .validationError, message: "\(name): \(reason)",
                details: [.init("field", .string(name)), .init("reason", .string(reason))])
        case .conflictingFields(let names):
            self.init(.conflictingFields, details: [.init("fields", .strings(names))])
        case .invalidIdentifier(let name):
            self.init(.invalidIdentifier, details: [.init("field", .string(name))])
        case .noSuchJob: self.init(.jobNotFound)

        case .noLongerGranted(let refusal, let field): self.init(.refusal(refusal, credential: field))
        case .rateLimited(let refusal):
            let seconds = max(1, refusal.retryAfterSeconds)
            self.init(
                .rateLimitExceeded, refusal,
                message: "Rate limit exceeded. Retry after \(seconds) \(seconds == 1 ? "second" : "seconds").")
        case .authenticationsLimited(let refusal): self.init(.tooManyFailedAuthentications, refusal, message: nil)
        case .confirmationRequired(let offer):
            self.init(
                .confirmationRequired,
                message: "This would erase data of: \(offer.connection). "
                    + "To confirm it, send the request again with \(ConfirmationOffer.field).",
                details: [
                    .init("connection_id", .string(offer.connection)), .init("operation", .string(offer.operation)),
                    .init("remove_records", offer.removesRecords.map { .bool($0) } ?? .null),
                    .init(
                        "confirmation",
                        .object([
                            .init("field", .string(ConfirmationOffer.field)), .init("token", .string(offer.token)),
                            .init("expires_at", .timestamp(offer.expiresAt)),
                            .init("expires_in", .integer(offer.expiresInSeconds)),
                        ])),
                ])
        case .confirmationInvalid(let error):
            self.init(
                .confirmationInvalid, message: "The confirmation does not count: \(error.explanation).",
                details: [.init("reason", .string(error.rawValue))])
        case .tooManyJobs(let refusal): self.init(for: refusal)
        case .jobRunning(let conflict, let connection):
            let message =
                conflict.state == .settling
                ? "\(conflict.subject) is reported as over for: \(connection). It may still be stopping."
                : "\(conflict.subject) is already running for: \(connection)"
            self.init(.jobAlreadyRunning, message: message, conflict, connection)
        case .stateLocked(let conflict, let connection):
            self.init(.stateLocked, message: nil, conflict, connection)

        case .invalidIdempotencyKey(let rule):
            self.init(
                .idempotencyKeyInvalid, message: "The Idempotency-Key is malformed: \(rule).",
                details: [.init("field", .string("Idempotency-Key")), .init("reason", .string(rule))])
        case .missingIdempotencyKey:
            self.init(.idempotencyKeyRequired, details: [.init("field", .string("Idempotency-Key"))])
        case .idempotency(let problem): self.init(for: problem)

        case .upstream(let failure): self.init(for: failure)

        case .storeUnavailable:
            self.init(.serviceUnavailable, retry: 2, proxyError: "proxy_internal_error")
        case .overloaded: self.init(.serviceUnavailable, retry: 2, proxyError: "proxy_internal_response")
        case .internalError:
            self.init(.internalError, closes: true)
            proxyError = "proxy_internal_error"
        }
    }

    private init(for problem: IdempotencyProblem) {
        switch problem {
        case .inProgress(let isUnconfirmed):
            self.init(
                .idempotencyInProgress,
                details: [
                    .init("reason", .string(isUnconfirmed ? "unconfirmed" : "running")),
                    .init("retry_after", .integer(Self.progressSeconds)),
                ])
            retryAfterSeconds = Self.progressSeconds
        case .outcomeUnknown: self.init(.idempotencyOutcomeUnknown)
        case .responseNotKept(let status):
            self.init(.idempotencyResponseNotKept, details: [.init("status", .integer(status))])
        case .keyReused: self.init(.idempotencyKeyReused)
        case .shareUsed(let seconds):
            self.init(.idempotencyShareUsed, details: [.init("retry_after", .integer(seconds))])
            retryAfterSeconds = max(1, seconds)
        case .storeUnavailable:
            self.init(.idempotencyUnavailable, retry: 2, proxyError: "proxy_internal_error")
        }
    }

    /// How soon a request in progress is worth another look.
    private static let progressSeconds = 1

    /// After a malformed head the start of the next request is unknown, so every response closes the connection.
    private init(for error: HeadError) {
        switch error {
        case .unknownMethod: self.init(.notImplemented, closes: true)
        case .unsupportedVersion: self.init(.versionNotSupported, closes: true)
        case .targetTooLong(let limit):
            self.init(.targetTooLong, closes: true, details: [.init("limit_bytes", .integer(limit))])
        case .headTooLong(let limit):
            self.init(.headTooLarge, closes: true, details: [.init("limit_bytes", .integer(limit))])
        case .tooManyFields(let limit):
            self.init(.headTooLarge, closes: true, details: [.init("limit_fields", .integer(limit))])
        case .unknownExpectation: self.init(.expectationFailed, closes: true)
        case .unknownTransferCoding:
            self.init(.notImplemented, closes: true, details: [.init("reason", .string(error.reason))])
        case .invalidMethod(let offset), .invalidTarget(let offset), .invalidVersion(let offset),
            .invalidLineEnd(let offset), .invalidFieldName(let offset), .invalidFieldValue(let offset),
            .foldedLine(let offset):
            self.init(
                .badRequest, closes: true,
                details: [.init("reason", .string(error.reason)), .init("offset", .integer(offset))])
        case .missingHost, .repeatedHost, .invalidHost, .invalidContentLength, .differingContentLengths,
            .contentLengthWithTransferEncoding, .transferEncodingInHTTP10, .chunkedNotFinal, .repeatedField:
            self.init(.badRequest, closes: true, details: [.init("reason", .string(error.reason))])
        }
    }

    /// `Proxy-Status` names the layer that failed; `details` repeats it for clients that show only `details`.
    private init(for failure: UpstreamFailure) {
        self.init(
            ErrorCode.generic(forStatus: failure.status),
            details: [.init("reason", .string(failure.proxyError))])
        proxyError = failure.proxyError
        if failure.status == 503 { retryAfterSeconds = 2 }
    }

    private init(_ code: ErrorCode, _ refusal: LimitRefusal, message: String?) {
        let seconds = max(1, refusal.retryAfterSeconds)
        self.init(
            code, message: message,
            details: [
                .init("limit", .string(refusal.limit)), .init("retry_after", .integer(seconds)),
                .init("violated_policies", .objects(refusal.violated.map(\.members))),
            ])
        retryAfterSeconds = seconds
    }

    private init(for refusal: JobCapRefusal) {
        let cap = refusal.cap
        let seconds = max(1, refusal.retryAfterSeconds)
        self.init(
            .jobLimit,
            message: "The \(cap.scope.rawValue) runs \(cap.max) jobs, and may not run more at the same time.",
            details: [
                .init("limit", .string(cap.name)), .init("per", .string(cap.scope.rawValue)),
                .init("max", .integer(cap.max)),
                .init(
                    "active_jobs",
                    .objects(
                        refusal.running.map { running in
                            [.init("connection_id", .string(running.connection))] + running.lease.activeJob
                        })),
                .init("retry_after", .integer(seconds)),
            ])
        retryAfterSeconds = seconds
        jobCap = cap
    }

    private init(_ code: ErrorCode, message: String?, _ conflict: LeaseConflict, _ connection: String) {
        self.init(
            code, message: message,
            details: [
                .init("connection_id", .string(connection)),
                .init("reason", .string(conflict.reason)),
                .init("active_job", .object(conflict.activeJob)),
                .init("held_since", .timestamp(conflict.heldSince)),
                .init("retry_after", .integer(conflict.retryAfterSeconds)),
            ])
        retryAfterSeconds = max(1, conflict.retryAfterSeconds)
        location = conflict.job?.location
    }

    private init(_ code: ErrorCode, closes: Bool, details: [ErrorDetail.Member] = []) {
        self.init(code, details: details)
        closesConnection = closes
    }

    private init(_ code: ErrorCode, retry seconds: Int, proxyError: String) {
        self.init(code)
        retryAfterSeconds = seconds
        self.proxyError = proxyError
    }
}

extension ErrorCode {
    /// The documented codes differ by the kind of credential.
    fileprivate static func unauthenticated(_ reason: CredentialFailure, in field: CredentialField) -> ErrorCode {
        switch (reason, field) {
        case (.missing, _): .authenticationRequired
        case (.ambiguous, _): .ambiguousCredentials
        case (.malformed, .bearer), (.unknown, .bearer): .tokenInvalid
        case (.malformed, .apiKey), (.unknown, .apiKey): .invalidAPIKey
        case (.expired, .bearer): .tokenExpired
        case (.expired, .apiKey): .apiKeyExpired
        }
    }
}

extension LeaseConflict {
    /// The job that has the connection, as far as it is known, and who took its lease.
    fileprivate var activeJob: [ErrorDetail.Member] {
        [
            .init("id", job.map { .string($0.id) } ?? .null), .init("type", .string(job?.type ?? kind)),
            .init("status", .string(job?.status ?? "pending")),
            .init("started_at", job?.startedAt.map { .timestamp($0) } ?? .null),
            .init("held_since", .timestamp(heldSince)), .init("token", token.map { .string($0) } ?? .null),
            .init("generation", .integer(Int(clamping: generation))),
        ]
    }

    /// Why the connection is not free, in one word for programs.
    fileprivate var reason: String {
        switch state {
        case .reserved: "starting"
        case .held: "running"
        case .draining: "cancelling"
        case .uncertain: "unconfirmed"
        case .settling: "settling"
        }
    }

    /// `A sync`, `An upload`: the type of the running job, or the lease's kind if the job is unknown.
    fileprivate var subject: String {
        let name = job?.type ?? kind
        let isVowel = name.utf8.first.map { "aeiouAEIOU".utf8.contains($0) } ?? false
        return "\(isVowel ? "An" : "A") \(name)"
    }
}
