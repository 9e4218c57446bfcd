internal import Transport

/// Sends the gateway's own requests to a remote upstream.
protocol InternalRequesting: Sendable {
    /// GETs `target`, a path with query in the form of the client API, on behalf of `organization`.
    ///
    /// The request has the gateway's own credential and the organization's field. It uses the pools, circuit breakers and
    /// deadlines of forwarded requests, and ends after 10 s, or at `deadline` if that is sooner. A body of more than 1 MiB is a
    /// failure.
    func get(
        _ target: String, for organization: String, before deadline: Instant
    ) async throws(UpstreamFailure) -> InternalResponse
}

/// The upstream's response to a request of the gateway.
struct InternalResponse: Equatable, Sendable {
    let status: Int
    let body: [UInt8]
    /// A cache sent it without asking the service (RFC 9111, section 5.1).
    var isFromCache = false
    /// The head links to a next page.
    var hasNextPage = false
}
