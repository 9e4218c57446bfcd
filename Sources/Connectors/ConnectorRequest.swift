package import JSON

/// A request for the connector service, already authenticated and authorized.
package struct ConnectorRequest: Sendable {
    /// The longest body. What it changes must fit into the journal, where it takes a little more or less room than in JSON.
    package static let maxBodyBytes = min(10 << 20, JournalChange.maxBytes / 2)

    package let method: String
    /// The raw target: path and query, as received.
    package let target: [UInt8]
    /// The operation that the target names.
    package let route: ConnectorRoute
    /// The organization of the request: that of the path, else that of the credential; empty if neither names one.
    package let organization: String
    package let body: [UInt8]
    /// The body as JSON, if the caller has parsed it already.
    package let bodyValue: JSONValue?
    /// For the envelope of an error; empty where the caller writes the envelope.
    package let traceID: String

    /// Without `route` and `bodyValue`, the target and the body are parsed here.
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
    /// The ids in the target, as received.
    var connectionID: String { text(route.connection) }
    var jobID: String { text(route.job) }

    /// Whether the path names an organization other than ``organization``.
    var isOfAnotherOrganization: Bool {
        guard let range = route.organization else { return false }
        let (path, own) = (target.span.extracting(range), organization.utf8.span)
        guard path.count == own.count else { return true }
        for index in path.indices where path[index] != own[index] { return true }
        return false
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: target[range], as: UTF8.self) }
}

/// A response of the connector service.
package struct ConnectorResponse: Sendable {
    package var status: Int
    /// The fields other than `Content-Type` and `Content-Length`, which are sent with the body.
    package var headers: [(String, String)]
    /// JSON; empty only with status 204.
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
