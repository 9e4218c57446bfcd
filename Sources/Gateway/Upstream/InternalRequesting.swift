/// The gateway's own questions to a remote upstream, in nobody's name but its own.
protocol InternalRequesting: Sendable {
    /// GETs `target`, a path with query as a client of the API would write it, on behalf of `organization`.
    ///
    /// Goes out with the gateway's own credential and the organization's field, over the same pools, breakers and deadlines as
    /// forwarded requests, and never longer than ten seconds. Bodies beyond 1 MiB are a failure.
    func get(_ target: String, for organization: String) async throws(UpstreamFailure) -> InternalResponse
}

/// What the upstream said to a question.
struct InternalResponse: Equatable, Sendable {
    let status: Int
    let body: [UInt8]
    /// A cache gave it, and the service was not asked (RFC 9111, section 5.1).
    var isStored = false
    /// Its head says that a list goes on.
    var goesOn = false
}
