package import HTTP
package import JSON
package import Policy

/// The connector service of this process, as the gateway sees it.
package protocol InProcessUpstream: JobDirectory {
    /// Whether `tryRespond` answers every GET and HEAD.
    var respondsFromMemory: Bool { get }

    /// Answers a request that can be answered from memory without waiting, or returns `nil`.
    func tryRespond(to request: UpstreamRequest) -> UpstreamResponse?

    /// Answers a request; waits as long as that takes, but not beyond the request's deadline.
    func respond(to request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse
}

extension InProcessUpstream {
    package var respondsFromMemory: Bool { false }
}

/// What leases have to know of the upstream's jobs.
package protocol JobDirectory: Sendable {
    /// The connection that a job belongs to; `nil` when the organization has no such job.
    func connection(ofJob job: String, organization: String) async throws(UpstreamFailure) -> String?

    /// Every job that runs now: what leases are rebuilt from at start.
    func runningJobs() async throws(UpstreamFailure) -> [RunningJob]

    /// Calls `observer` from any thread when a job begins to run and when it has ended; its status tells which.
    func observeJobs(_ observer: @escaping @Sendable (RunningJob) -> Void)
}

/// What goes to the connector service of this process.
package struct UpstreamRequest: Sendable {
    package let method: HTTPMethod
    /// The request target as the client sent it.
    package let target: [UInt8]
    /// What the route's pattern found in the target.
    package let captures: RouteCaptures
    package let body: [UInt8]
    /// The body as JSON, where a stage has read it.
    package let bodyValue: JSONValue?
    /// The organization the caller was confined to.
    package let organization: String
    package let trace: TraceContext
}

/// An answer in memory: of the connector service of this process, or a remote one's error.
package struct UpstreamResponse: Sendable {
    package var status: Int
    /// Fields for the client, besides those the gateway writes itself.
    package var fields: [(name: String, value: String)]
    /// Empty where the upstream named none.
    package var contentType: String
    package var body: [UInt8]
    /// The job that the request started.
    package var startedJob: RunningJob?
    /// The body ended early, was too long to be read, or cannot be decoded: `body` holds only a part of it.
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
