/// The content of one request's line in the access log. It has no query, no body and no credential. Tokens that a
/// client put into a path or a user agent are replaced with stars.
package struct AccessRecord: Sendable {
    /// When the request ended.
    package var epochMilliseconds: Int64 = 0
    package var traceID = TraceID(high: 0, low: 0)
    /// The id of the organization that the caller acts for; `nil` if it was not determined.
    package var organization: String?
    /// `organization/name` as in the policies; `nil` if no caller was recognized.
    package var tokenID: String?
    /// The id of the route; `nil` if there is none.
    package var operation: String?
    /// The canonical id. For a request about a job it is the job's connection.
    package var connection: String?
    /// The job that the request started; `nil` if it started none.
    package var job: String?
    /// The generation of the request's lease, or of the lease whose job the response shows; `nil` if there is none.
    package var generation: UInt64?
    /// What became of a request that was not simply sent upstream.
    package var outcome: RequestOutcome?
    /// What became of the upstream's 409, although the connection was free here; `nil` without one.
    package var upstreamLag: UpstreamLagResult?
    /// What the key of the request did; `nil` if it has none that the gateway looked at.
    package var idempotency: IdempotencyUse?
    /// `nil` if the head could not be read.
    package var method: String?
    /// The client's address. Behind trusted proxies it is the address that they report.
    package var client: String?
    /// The parts of the request's head that the line quotes, as ranges of the head. An empty range means none.
    package var path = 0..<0
    package var userAgent = 0..<0
    /// The job in the path, if no other job is known.
    package var jobInHead = 0..<0
    /// `nil` if the head could not be read.
    package var isHTTP10: Bool?
    /// Whether the connection uses TLS 1.3 and not 1.2; `nil` without TLS.
    package var isTLS13: Bool?
    package var status = 0
    /// The error code; `nil` on success.
    package var code: String?
    /// The side that is at fault; `nil` also if the upstream responded with an error below 500.
    package var origin: Failure.Origin?
    /// The cause of a failure, for operators only.
    package var cause: String?
    /// The limit that refused the request.
    package var limit: String?
    /// The `Retry-After` of an error response, in seconds.
    package var retryAfterSeconds: Int?
    /// The lease that refused the request.
    package var lease: LeaseConflict?
    /// The route's scopes that the token lacks.
    package var missingScope: String?
    /// The organization that the request named and that was denied; `nil` if none was denied.
    package var requestedOrganization: String?
    /// The upstream's text for its error.
    package var upstreamError: String?
    /// The address of the upstream's endpoint; `nil` if no connection to one was made.
    package var upstream: String?
    /// The number of connections on which sending the request upstream was tried.
    package var attempts = 0
    /// The stage that ended the request; ``Stage/record`` on success.
    package var stage = Stage.record
    /// The short version of the policy set that decided the request.
    package var policyVersion = ""
    /// The size of the request's head and of its body without framing and TLS.
    package var bytesIn = 0
    /// The size of the response's head and body as sent, with framing but without TLS.
    package var bytesOut = 0
    package var times = StageTimes()

    package init() {}
}
