import HTTP
import JSON
import Testing

@testable import Gateway
@testable import Policy

private func rendered(_ response: ErrorResponse, addsDetail: Bool = false) throws -> JSONValue {
    var bytes: [UInt8] = []
    let traceID = TraceID(high: 0x0123_4567_89AB_CDEF, low: 1)
    ErrorEnvelope.append(response, traceID: traceID, epochMilliseconds: 0, addsDetail: addsDetail, to: &bytes)
    return try JSONValue.read(bytes.span)
}

@Suite("Error catalogue")
struct ErrorCatalogueTests {
    @Test("ErrorCode: every code is one stable word, used once, with a message and advice")
    func rows() {
        var seen: Set<String> = []
        for code in ErrorCode.allCases {
            let entry = code.entry
            #expect(seen.insert(entry.code).inserted)
            #expect(entry.code.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F })
            #expect(!entry.message.isEmpty)
            #expect(!entry.advice.isEmpty)
            #expect((400...505).contains(entry.status))
            #expect(entry.type == (entry.status < 500 ? "client_error" : "server_error"))
        }
    }

    @Test(
        "ErrorCode: every status that the gateway can send has its own code",
        arguments: [
            400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 417, 421, 422, 423, 429, 431, 501, 502, 503, 504, 505,
        ])
    func statuses(status: Int) {
        #expect(ErrorCode.generic(forStatus: status).entry.status == status)
    }

    @Test("ErrorCode: an unlisted status still names the right side")
    func unlisted() {
        #expect(ErrorCode.generic(forStatus: 418).entry.type == "client_error")
        #expect(ErrorCode.generic(forStatus: 500) == .upstreamError)
        #expect(ErrorCode.generic(forStatus: 599).entry.type == "server_error")
    }
}

@Suite("Failures and refusals")
struct FailureTests {
    private static let job = LeaseJob(
        id: "job_1", type: "sync", status: "running", startedAt: 1_709_251_199_999, location: "/jobs/job_1")
    private static let conflict = LeaseConflict(
        kind: "sync", state: .held, job: job, heldSince: 1_709_251_199_000, retryAfterSeconds: 7)

    private static let offer = ConfirmationOffer(
        token: "t", expiresAt: 0, expiresInSeconds: 300, operation: "connections.clear", connection: "c",
        removesRecords: nil)

    static let rows: [(Failure.Kind, Int, String, Failure.Origin, closes: Bool)] =
        [
            (.plainHTTP, 400, "TLS_REQUIRED", .client, true),
            (.framing(.invalidChunkSize), 400, "BAD_REQUEST", .client, true),
            (.headTimeout, 408, "REQUEST_TIMEOUT", .client, true),
            (.bodyTimeout, 408, "REQUEST_TIMEOUT", .client, true),
            (.bodyIncomplete, 400, "BAD_REQUEST", .client, true),
            (.bodyTooLarge(limit: 5), 413, "PAYLOAD_TOO_LARGE", .client, true),
            (.unsupportedMediaType, 415, "UNSUPPORTED_MEDIA_TYPE", .client, false),
            (.invalidJSON(reason: "x", offset: 3), 400, "INVALID_JSON", .client, false),
            (.invalidField(name: "streams", reason: "is required"), 422, "VALIDATION_ERROR", .client, false),
            (.conflictingFields(["connection_id", "connectionId"]), 400, "CONFLICTING_FIELDS", .client, false),
            (.noLongerGranted(.unauthenticated(route, .expired), .bearer), 401, "TOKEN_EXPIRED", .client, false),
            (
                .noLongerGranted(.organizationDenied(route, principal, asked: "org_2"), .bearer), 403,
                "ORGANIZATION_ACCESS_DENIED", .client, false
            ),
            (.invalidIdentifier(name: "connection_id"), 400, "INVALID_IDENTIFIER", .client, false),
            (.noSuchJob, 404, "CONNECTOR_JOB_NOT_FOUND", .client, false),
            (.rateLimited(.init(limit: "a", retryAfterSeconds: 4)), 429, "RATE_LIMIT_EXCEEDED", .client, false),
            (
                .authenticationsLimited(.init(limit: "a", retryAfterSeconds: 4)), 429,
                "TOO_MANY_FAILED_AUTHENTICATIONS",
                .client, false
            ),
            (.confirmationRequired(offer), 409, "CONFIRMATION_REQUIRED", .client, false),
            (.confirmationInvalid(.used), 400, "CONFIRMATION_INVALID", .client, false),
            (
                .tooManyJobs(JobCapRefusal(cap: JobCap(name: "a", scope: .token, max: 4), running: [])), 429,
                "ORGANIZATION_JOB_LIMIT", .client, false
            ),
            (.jobRunning(conflict, connection: "c"), 409, "CONNECTOR_JOB_ALREADY_RUNNING", .client, false),
            (.stateLocked(conflict, connection: "c"), 409, "CONNECTOR_STATE_LOCKED", .client, false),
            (.invalidIdempotencyKey(rule: "x"), 400, "IDEMPOTENCY_KEY_INVALID", .client, false),
            (.missingIdempotencyKey, 400, "IDEMPOTENCY_KEY_REQUIRED", .client, false),
            (.idempotency(.inProgress(isUnconfirmed: true)), 409, "IDEMPOTENCY_IN_PROGRESS", .client, false),
            (.idempotency(.outcomeUnknown), 409, "IDEMPOTENCY_OUTCOME_UNKNOWN", .client, false),
            (.idempotency(.responseNotKept(status: 200)), 409, "IDEMPOTENCY_RESPONSE_NOT_KEPT", .client, false),
            (.idempotency(.keyReused), 422, "IDEMPOTENCY_KEY_REUSED", .client, false),
            (.idempotency(.shareUsed(retryAfterSeconds: 60)), 429, "IDEMPOTENCY_SHARE_USED", .client, false),
            (.idempotency(.storeUnavailable), 503, "IDEMPOTENCY_UNAVAILABLE", .gateway, false),
            (.storeUnavailable, 503, "SERVICE_UNAVAILABLE", .gateway, false),
            (.overloaded, 503, "SERVICE_UNAVAILABLE", .gateway, false),
            (.internalError, 500, "INTERNAL_ERROR", .gateway, true),
            (.head(.invalidMethod(at: 0)), 400, "BAD_REQUEST", .client, true),
            (.head(.unknownMethod), 501, "NOT_IMPLEMENTED", .client, true),
            (.head(.invalidTarget(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.targetTooLong(limit: 8192)), 414, "URI_TOO_LONG", .client, true),
            (.head(.invalidVersion(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.unsupportedVersion), 505, "HTTP_VERSION_NOT_SUPPORTED", .client, true),
            (.head(.invalidLineEnd(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.invalidFieldName(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.invalidFieldValue(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.foldedLine(at: 1)), 400, "BAD_REQUEST", .client, true),
            (.head(.headTooLong(limit: 1)), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE", .client, true),
            (.head(.tooManyFields(limit: 1)), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE", .client, true),
            (.head(.missingHost), 400, "BAD_REQUEST", .client, true),
            (.head(.repeatedHost), 400, "BAD_REQUEST", .client, true),
            (.head(.invalidHost), 400, "BAD_REQUEST", .client, true),
            (.head(.invalidContentLength), 400, "BAD_REQUEST", .client, true),
            (.head(.differingContentLengths), 400, "BAD_REQUEST", .client, true),
            (.head(.contentLengthWithTransferEncoding), 400, "BAD_REQUEST", .client, true),
            (.head(.transferEncodingInHTTP10), 400, "BAD_REQUEST", .client, true),
            (.head(.chunkedNotFinal), 400, "BAD_REQUEST", .client, true),
            (.head(.repeatedField(.host)), 400, "BAD_REQUEST", .client, true),
            (.head(.unknownTransferCoding), 501, "NOT_IMPLEMENTED", .client, true),
            (.head(.unknownExpectation), 417, "EXPECTATION_FAILED", .client, true),
        ]
        + UpstreamFailure.allCases.map { failure in
            (.upstream(failure), failure.status, codes[failure.status] ?? "", .upstream, false)
        }

    private static let codes = [502: "BAD_GATEWAY", 503: "SERVICE_UNAVAILABLE", 504: "GATEWAY_TIMEOUT"]

    @Test("ErrorResponse: each failure has its response", arguments: 0..<rows.count)
    func table(index: Int) throws {
        let (kind, status, code, origin, closes) = Self.rows[index]
        let failure = Failure(kind, at: .read)
        let response = ErrorResponse(.failure(failure))
        #expect(response.status == status)
        #expect(response.code == code)
        #expect(failure.origin == origin)
        #expect(response.closesConnection == closes)
        // Nothing is blamed on the client that is not the client's, and the other way round.
        #expect((status < 500 || [501, 505].contains(status)) == (origin == .client))
        let entry = ErrorCode.allCases.first { $0.entry.code == code }?.entry
        if [429, 503, 409].contains(status), entry?.isRetryable ?? true {
            #expect((response.retryAfterSeconds ?? 0) >= 1)
        }
        let json = try rendered(response)
        #expect(json["error"]?["status"]?.integer == Int64(status))
        #expect(json["error"]?["code"]?.string == code)
        #expect(json["error"]?["message"]?.string?.isEmpty == false)
    }

    private static let route = Route(id: "jobs.trigger", index: 0, family: .aitronos, scopeText: "connectors:run")
    private static let principal = Principal(tokenID: "org_1/ci", organizations: [], scopes: [], expiresAt: nil)
    private static let organization = Organization(id: "org_1", plan: nil, limits: [])

    static let refusalRows: [(Refusal, CredentialField, Int, String, BearerChallenge?)] = [
        (.noRoute(.aitronos), .bearer, 404, "NOT_FOUND", nil),
        (.methodNotAllowed(allow: "GET, HEAD", .airweave), .bearer, 405, "METHOD_NOT_ALLOWED", nil),
        (.ambiguousPath(.other), .bearer, 400, "AMBIGUOUS_PATH", nil),
        (.unauthenticated(route, .missing), .bearer, 401, "AUTHENTICATION_REQUIRED", .missing),
        (.unauthenticated(route, .malformed), .bearer, 401, "TOKEN_INVALID", .invalidToken),
        (.unauthenticated(route, .unknown), .bearer, 401, "TOKEN_INVALID", .invalidToken),
        (.unauthenticated(route, .expired), .bearer, 401, "TOKEN_EXPIRED", .invalidToken),
        (.unauthenticated(route, .ambiguous), .bearer, 400, "AMBIGUOUS_CREDENTIALS", nil),
        (.unauthenticated(route, .missing), .apiKey, 401, "AUTHENTICATION_REQUIRED", .missing),
        (.unauthenticated(route, .malformed), .apiKey, 401, "INVALID_API_KEY", .invalidToken),
        (.unauthenticated(route, .unknown), .apiKey, 401, "INVALID_API_KEY", .invalidToken),
        (.unauthenticated(route, .expired), .apiKey, 401, "API_KEY_EXPIRED", .invalidToken),
        (
            .organizationDenied(route, principal, asked: "org_2"), .bearer, 403, "ORGANIZATION_ACCESS_DENIED", nil
        ),
        (.ambiguousOrganization(route, principal), .bearer, 403, "AMBIGUOUS_ORGANIZATION", nil),
        (
            .insufficientScope(route, principal, organization, required: "connectors:run"), .bearer, 403,
            "INSUFFICIENT_PERMISSIONS", .insufficientScope("connectors:run")
        ),
    ]

    @Test(
        "ErrorResponse: each refusal has its response, and none closes the connection", arguments: 0..<refusalRows.count
    )
    func refusals(index: Int) throws {
        let (refusal, field, status, code, challenge) = Self.refusalRows[index]
        let response = ErrorResponse(.refusal(refusal, credential: field))
        #expect(response.status == status)
        #expect(response.code == code)
        #expect(response.authenticate == challenge)
        #expect((status == 401) == (response.authenticate != nil) || status == 403)
        #expect((status == 405) == (response.allow != nil))
        #expect(!response.closesConnection)
        #expect(try rendered(response)["error"]?["type"]?.string == "client_error")
    }

    @Test(
        "ErrorResponse: a wait of one second is in the singular",
        arguments: [(0, "Retry after 1 second."), (1, "Retry after 1 second."), (2, "Retry after 2 seconds.")])
    func oneSecond(seconds: Int, expected: String) {
        let answer = ErrorResponse(
            .failure(Failure(.rateLimited(.init(limit: "a", retryAfterSeconds: seconds)), at: .limit)))
        #expect(answer.message.hasSuffix(" " + expected))
    }

    @Test("ErrorResponse: a 409 has the running job, its location, and the time to retry")
    func conflictDetails() throws {
        let response = ErrorResponse(.failure(Failure(.jobRunning(Self.conflict, connection: "conn_1"), at: .admit)))
        #expect(response.message == "A sync is already running for: conn_1")
        #expect(response.location == "/jobs/job_1")
        #expect(response.retryAfterSeconds == 7)
        let details = try #require(try rendered(response)["error"]?["details"])
        #expect(details["connection_id"]?.string == "conn_1")
        #expect(details["active_job"]?["id"]?.string == "job_1")
        #expect(details["active_job"]?["type"]?.string == "sync")
        #expect(details["active_job"]?["status"]?.string == "running")
        #expect(details["active_job"]?["started_at"]?.string == "2024-02-29T23:59:59.999Z")

        let early = LeaseConflict(kind: "reset", state: .reserved, job: nil, heldSince: 0, retryAfterSeconds: 3)
        let pending = ErrorResponse(.failure(Failure(.jobRunning(early, connection: "conn_1"), at: .admit)))
        #expect(pending.message == "A reset is already running for: conn_1")
        #expect(pending.location == nil)
        let active = try #require(try rendered(pending)["error"]?["details"]?["active_job"])
        #expect(active["id"]?.isNull == true)
        #expect(active["type"]?.string == "reset")
        #expect(active["status"]?.string == "pending")
    }

    @Test("ErrorResponse: stages have the positions they are declared in")
    func stages() {
        for (index, stage) in Stage.allCases.enumerated() { #expect(stage.index == index) }
    }
}

@Suite("Envelope")
struct ErrorEnvelopeTests {
    @Test("ErrorEnvelope: the envelope has exactly the documented shape")
    func shape() {
        var bytes: [UInt8] = []
        let response = ErrorResponse(.jobNotFound)
        ErrorEnvelope.append(
            response, traceID: TraceID(high: 0xA, low: 0xB), epochMilliseconds: 1_709_251_199_999, addsDetail: false,
            to: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                {"success":false,"error":{"code":"CONNECTOR_JOB_NOT_FOUND","message":"The requested job was not found.",\
                "type":"client_error","status":404,"details":{},"trace_id":"000000000000000a000000000000000b",\
                "timestamp":"2024-02-29T23:59:59.999Z"}}
                """)
    }

    @Test("ErrorEnvelope: the Airweave family gets the message as a top-level detail string too")
    func detail() throws {
        let json = try rendered(ErrorResponse(.jobNotFound), addsDetail: true)
        #expect(json["detail"]?.string == "The requested job was not found.")
        #expect(json["error"]?["message"]?.string == json["detail"]?.string)
        #expect(try rendered(ErrorResponse(.jobNotFound))["detail"] == nil)
    }

    @Test("ErrorEnvelope: any text in a message or detail survives")
    func escaping() throws {
        let text = "a\"b\\c\n\r\t\u{0}\u{1b}\u{7f}\u{e9}\u{1F600}</script>"
        var response = ErrorResponse(.badRequest, message: text)
        response.details = [.init(text, .string(text)), .init("n", .integer(-5)), .init("l", .strings([text, ""]))]
        let json = try rendered(response, addsDetail: true)
        #expect(json["error"]?["message"]?.string == text)
        #expect(json["detail"]?.string == text)
        #expect(json["error"]?["details"]?[text]?.string == text)
        #expect(json["error"]?["details"]?["l"]?.array?.first?.string == text)
    }
}

@Suite("Bearer challenges")
struct BearerChallengeTests {
    @Test(
        "BearerChallenge: WWW-Authenticate follows RFC 6750",
        arguments: [
            (BearerChallenge.missing, #"Bearer realm="connectors""#),
            (.invalidToken, #"Bearer realm="connectors", error="invalid_token""#),
            (
                .insufficientScope("connectors:run connectors:write"),
                #"Bearer realm="connectors", error="insufficient_scope", scope="connectors:run connectors:write""#
            ),
            (
                .insufficientScope("a\"\\\r\n"),
                #"Bearer realm="connectors", error="insufficient_scope", scope="a\"\\??""#
            ),
        ] as [(BearerChallenge, String)])
    func values(_ challenge: BearerChallenge, _ text: String) {
        var bytes: [UInt8] = []
        challenge.append(realm: "connectors", to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
}
