internal import HTTP
internal import Policy
internal import Transport

/// Why an attempt to get a response failed.
enum RelayFailure: Error {
    /// The failure is between the gateway and the upstream.
    case upstream(UpstreamConnectionError)
    /// The failure is between the client and the gateway, or a rule was broken. The request fails with it.
    case request(Failure)

    /// The failure as the pipeline throws it.
    var asFailure: Failure {
        switch self {
        case .upstream(let failure): Failure(failure)
        case .request(let failure): failure
        }
    }
}
