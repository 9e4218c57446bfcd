internal import JSON

/// An error response of the connector service.
struct APIError: Error, Sendable {
    let status: Int
    let code: String
    let message: String
    var details: [(name: String, value: Detail)] = []
    var headers: [(String, String)] = []

    /// A value in `details`.
    enum Detail: Sendable {
        case string(String)
        case optionalString(String?)
        case object([(name: String, value: Detail)])
    }

    static let connectionNotFound = APIError(
        status: 404, code: "CONNECTOR_CONNECTION_NOT_FOUND", message: "The requested connection was not found.")
    static let jobNotFound = APIError(
        status: 404, code: "CONNECTOR_JOB_NOT_FOUND", message: "The requested job was not found.")
    /// The paths of the Airweave family name no organization. Then the caller must name it.
    static let organizationRequired = APIError(
        status: 400, code: "ORGANIZATION_REQUIRED",
        message: "The request does not say for which organization it is made.",
        details: [("reason", .string("neither the path nor the gateway names an organization"))])
    static let notFound = APIError(status: 404, code: "NOT_FOUND", message: "There is nothing at this path.")
    static let retryFailed = APIError(
        status: 400, code: "CONNECTOR_JOB_RETRY_FAILED", message: "Failed to retry the job.",
        details: [("reason", .string("only a failed or cancelled job can be retried"))])
    /// `Retry-After` means that nothing was done and nothing will be. The gateway then frees the lease.
    static let notCommitted = APIError(
        status: 503, code: "SERVICE_UNAVAILABLE",
        message: "The change was not made, because the service cannot write it now. Try again later.",
        headers: [("Retry-After", "5")])
    /// Has no `Retry-After`, because the change may be made now or later. The gateway then keeps the lease.
    static let outcomeUnknown = APIError(
        status: 503, code: "SERVICE_UNAVAILABLE",
        message:
            "The change may have been made: the disk has not confirmed it. Look at the current state before trying "
            + "again.")
    static let bodyTooLong = APIError(
        status: 413, code: "PAYLOAD_TOO_LARGE", message: "The request body is too large.",
        details: [("limit", .string("\(ConnectorRequest.maxBodyBytes)"))])

    /// 422 with the name of the wrong field. `problem` continues the sentence "The field x ...".
    static func invalid(_ field: String, _ problem: String) -> APIError {
        let (field, problem) = (shortened(field), shortened(problem))
        return APIError(
            status: 422, code: "VALIDATION_ERROR", message: "The field \(field) \(problem).",
            details: [("field", .string(field)), ("reason", .string(problem))])
    }

    /// A text may contain a client's text, which can be as long as a body.
    private static func shortened(_ text: String) -> String {
        guard text.utf8.count > 400 else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(100))) + "..."
    }

    static func conflictingFields(_ name: String, _ other: String) -> APIError {
        APIError(
            status: 400, code: "CONFLICTING_FIELDS",
            message: "Two spellings of one field have different values: \(name) and \(other).",
            details: [("field", .string(other)), ("reason", .string("differs from \(name)"))])
    }

    static func methodNotAllowed(_ allowed: [String]) -> APIError {
        APIError(
            status: 405, code: "METHOD_NOT_ALLOWED", message: "This path does not have this method.",
            headers: [("Allow", allowed.joined(separator: ", "))])
    }

    /// 409 with the running job, its path, and the time to retry.
    static func alreadyRunning(_ job: Job, retryAfterSeconds: Int64) -> APIError {
        busy(
            "CONNECTOR_JOB_ALREADY_RUNNING", "A sync is already running for: \(job.connection.id)", job,
            retryAfterSeconds)
    }

    /// 409 for a state update while a job runs, because the job would overwrite the state.
    static func stateLocked(_ job: Job, retryAfterSeconds: Int64) -> APIError {
        busy(
            "CONNECTOR_STATE_LOCKED", "State cannot be updated while a sync is running for this connection.", job,
            retryAfterSeconds)
    }

    private static func busy(_ code: String, _ message: String, _ job: Job, _ retryAfterSeconds: Int64) -> APIError {
        APIError(
            status: 409, code: code, message: message,
            details: [
                (
                    "active_job",
                    .object([
                        ("id", .string(job.id)), ("type", .string(job.kind.rawValue)),
                        ("status", .string(job.status.rawValue)),
                        ("started_at", .optionalString(job.startedAt?.iso8601)),
                    ])
                )
            ],
            headers: [
                ("Location", JobReference(job, family: nil).path), ("Retry-After", "\(max(1, retryAfterSeconds))"),
            ])
    }

    /// The response to the cancellation of an ended job. The Airweave family documents 400 for it.
    static func hasEnded(_ job: Job, isAirweave: Bool) -> APIError {
        APIError(
            status: isAirweave ? 400 : 409, code: "CONNECTOR_JOB_NOT_RUNNING",
            message: "The job has ended and cannot be cancelled.",
            details: [("status", .string(job.status.rawValue))])
    }

    /// The documented envelope. In the Airweave family it also has `detail` at the top level.
    func response(traceID: String, isAirweave: Bool, now: Timestamp) -> ConnectorResponse {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("success")
        writer.bool(false)
        writer.name("error")
        writer.beginObject()
        writer.name("code")
        writer.string(code)
        writer.name("message")
        writer.string(message)
        writer.name("type")
        writer.string(status < 500 ? "client_error" : "server_error")
        writer.name("status")
        writer.integer(status)
        writer.name("details")
        Self.write(details, to: &writer)
        writer.name("trace_id")
        writer.string(traceID)
        writer.name("timestamp")
        writer.string(now.iso8601)
        writer.endObject()
        if isAirweave {
            writer.name("detail")
            writer.string(message)
        }
        writer.endObject()
        return ConnectorResponse(status: status, headers: headers, body: writer.bytes)
    }

    private static func write(_ members: [(name: String, value: Detail)], to writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in members {
            writer.name(name)
            switch value {
            case .string(let text), .optionalString(let text?): writer.string(text)
            case .optionalString(nil): writer.null()
            case .object(let members): write(members, to: &writer)
            }
        }
        writer.endObject()
    }
}
