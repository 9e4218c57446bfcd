/// What one request's log line says. Nothing of a query, a body or a credential is in it, and what a client may have pasted
/// into a path or a user agent is starred.
package struct AccessRecord: Sendable {
    /// When the request ended.
    package var epochMilliseconds: Int64 = 0
    package var traceID = TraceID(high: 0, low: 0)
    package var organization: String?
    /// `organization/name` as in the policy; `nil` where nobody was recognized.
    package var tokenID: String?
    /// The id of the route; `nil` where none was found.
    package var operation: String?
    /// The canonical id; for a job's operation that of its connection.
    package var connection: String?
    package var job: String?
    /// `nil` where the head could not be read.
    package var method: String?
    /// The address of the client; behind trusted proxies the one that they saw.
    package var client: String?
    /// What the line quotes of the request: parts of its head, copied from there to the line. Empty: nothing.
    package var path = 0..<0
    package var userAgent = 0..<0
    /// The job that the path names, where no other is known.
    package var jobInHead = 0..<0
    /// `nil` where the head could not be read.
    package var isHTTP10: Bool?
    /// Whether the connection has TLS 1.3 and not 1.2; `nil` without TLS.
    package var isTLS13: Bool?
    package var status = 0
    /// The error code, `nil` on success.
    package var code: String?
    /// Who is to blame for a failure or refusal; `nil` also where the upstream answered with an error of its own.
    package var origin: Failure.Origin?
    /// What only the operator may read about a failure: why the upstream gave no answer.
    package var cause: String?
    /// The limit that refused.
    package var limit: String?
    /// Seconds to wait, where a limit or a lease refused.
    package var retryAfterSeconds: Int?
    /// What runs on the connection, where that refused.
    package var lease: LeaseConflict?
    /// The scopes of the route that the token lacks.
    package var missingScope: String?
    package var requestedOrganization: String?
    /// What the upstream said about its error.
    package var upstreamError: String?
    /// The address of the upstream's endpoint; `nil` where no connection to one came about.
    package var upstream: String?
    /// Over how many connections the request was sent upstream, or was to be sent.
    package var attempts = 0
    /// The stage that ended the request; ``Stage/record`` on success.
    package var stage = Stage.record
    /// The short version of the set that the request was judged by.
    package var policyVersion = ""
    /// The request's head, and its body without framing; not what TLS adds.
    package var bytesIn = 0
    /// Head and body of the answer as sent, framing included; not what TLS adds.
    package var bytesOut = 0
    package var times = StageTimes()

    package init() {}
}
