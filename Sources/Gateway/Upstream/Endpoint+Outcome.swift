internal import HTTP
internal import Transport

extension Endpoint.Outcome {
    /// What a response shows about its endpoint. 502, 503 and 504 can come from a layer in front of the service and
    /// mean that the service is not available. All others come from the service, and so does a 503 with `Retry-After`:
    /// it may concern only this caller.
    init(of upstream: UpstreamConnection, for organization: UInt64) {
        self =
            switch upstream.status {
            case 502, 504: .refusing(status: upstream.status, organization: organization)
            case 503 where upstream.head.retryAfter == nil: .refusing(status: 503, organization: organization)
            default: .good(organization: organization)
            }
    }

    /// The outcome of an exchange without a response; `unknown` if the client left.
    init(_ failure: UpstreamConnectionError, for organization: UInt64) {
        self = .unknown
        if case .upstream(let failure) = Failure(failure).kind {
            self = .silent(failure, organization: organization)
        }
    }
}
