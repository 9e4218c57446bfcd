package import HTTP
package import JSON
package import Policy

/// The connector service of this process.
package protocol InProcessUpstream: JobDirectory {
    /// Whether `tryRespond` responds to every GET and HEAD.
    var respondsFromMemory: Bool { get }

    /// Responds to a request that needs only memory; returns `nil` if the response requires waiting.
    func tryRespond(to request: UpstreamRequest) -> UpstreamResponse?

    /// Responds to a request. May wait, but not beyond the request's deadline.
    func respond(to request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse
}

extension InProcessUpstream {
    package var respondsFromMemory: Bool { false }
}

/// The jobs of the upstream, for leases.
package protocol JobDirectory: Sendable {
    /// The connection that a job belongs to; `nil` if the organization has no such job.
    func connection(ofJob job: String, organization: String) async throws(UpstreamFailure) -> String?

    /// All running jobs. At start the leases are rebuilt from them.
    func runningJobs() async throws(UpstreamFailure) -> [RunningJob]

    /// Calls `observer`, from any thread, when a job starts and when it ends. The job's status says which of the two.
    func observeJobs(_ observer: @escaping @Sendable (RunningJob) -> Void)
}

/// A request to the connector service of this process.
package struct UpstreamRequest: Sendable {
    package let method: HTTPMethod
    /// The request target as the client sent it.
    package let target: [UInt8]
    /// The variables of the route's pattern in the target.
    package let captures: RouteCaptures
    package let body: [UInt8]
    /// The body as JSON; `nil` if no stage has parsed it.
    package let bodyValue: JSONValue?
    /// The organization that the caller acts for.
    package let organization: String
    package let trace: TraceContext
}

/// A response in memory: from the connector service of this process, or an error response of a remote upstream.
package struct UpstreamResponse: Sendable {
    package var status: Int
    /// Fields for the client, in addition to those that the gateway writes.
    package var fields: [(name: String, value: String)]
    /// Empty if the upstream sent none.
    package var contentType: String
    package var body: [UInt8]
    /// The job that the request started.
    package var startedJob: RunningJob?
    /// `body` is incomplete: the upstream's body ended early, was too long, or could not be decoded.
    package var isCut = false

    package init(
        status: Int, fields: [(name: String, value: String)] = [], contentType: String = "application/json",
        body: [UInt8], startedJob: RunningJob? = nil
    ) {
        self.status = status
        self.fields = fields
        self.contentType = contentType
        self.body = body
        self.startedJob = startedJob
    }
}
