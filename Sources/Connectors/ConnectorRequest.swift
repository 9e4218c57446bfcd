package import JSON

/// A request for the connector service, already authenticated and authorized.
package struct ConnectorRequest: Sendable {
    package let method: String
    /// The raw target, path and query, as it came.
    package let target: [UInt8]
    /// What the target asks for.
    package let route: ConnectorRoute
    /// For whom the request is made: the organization of the path, or of the credential where the path names none. Empty
    /// when nobody named one.
    package let organization: String
    package let body: [UInt8]
    /// The body, where somebody has read it as JSON before.
    package let bodyValue: JSONValue?
    /// Goes into the envelope of an error; empty where whoever asks writes that itself.
    package let traceID: String

    /// `route` and `bodyValue` are what is known of target and body; without them they are read.
    package init(
        method: String, target: [UInt8], route: ConnectorRoute? = nil, organization: String, body: [UInt8],
        bodyValue: JSONValue? = nil, traceID: String
    ) {
        self.method = method
        self.target = target
        self.route = route ?? ConnectorRoute(target)
        self.organization = organization
        self.body = body
        self.bodyValue = bodyValue
        self.traceID = traceID
    }
}

extension ConnectorRequest {
    /// The ids that the target names, as they came.
    var connectionID: String { text(route.connection) }
    var jobID: String { text(route.job) }

    /// Whether the path names another organization than the one for which the request is made.
    var isOfAnotherOrganization: Bool {
        guard let range = route.organization else { return false }
        let (path, own) = (target.span.extracting(range), organization.utf8.span)
        guard path.count == own.count else { return true }
        for index in path.indices where path[index] != own[index] { return true }
        return false
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: target[range], as: UTF8.self) }
}

/// What the connector service answers.
package struct ConnectorResponse: Sendable {
    package var status: Int
    /// Beyond `Content-Type` and `Content-Length`, which go with the body.
    package var headers: [(String, String)]
    /// JSON; empty with status 204 only.
    package var body: [UInt8]
    /// The job that this request started.
    package var startedJob: JobReference?

    package init(
        status: Int, headers: [(String, String)] = [], body: [UInt8] = [], startedJob: JobReference? = nil
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.startedJob = startedJob
    }
}

extension JobReference {
    init(_ job: Job, family: ConnectionDefinition.Family?) {
        organization = job.connection.organization
        connection = job.connection.id
        id = job.id
        type = job.kind.rawValue
        status = job.status.rawValue
        startedAt = job.startedAt?.milliseconds
        isAirweave = family == .airweave
    }
}
