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

extension UpstreamFailure {
    init(_ error: ResponseHeadError) {
        switch error {
        case .headTooLong, .tooManyFields: self = .headTooLarge
        case .switchedProtocols: self = .unexpectedUpgrade
        case .invalidStatusLine, .unsupportedVersion, .invalidField, .contradictoryFraming, .impossibleBody:
            self = .invalidResponse
        }
    }
}

extension Endpoint.Outcome {
    /// What an exchange without an answer tells; nothing where the client left.
    init(_ failure: UpstreamConnectionError, for organization: UInt64) {
        self = .unknown
        if case .upstream(let failure) = Failure(failure).kind {
            self = .silent(failure, organization: organization)
        }
    }
}

extension Failure {
    /// What became of an exchange with the upstream.
    init(_ failure: UpstreamConnectionError) {
        let kind: Kind =
            switch failure {
            case .abandoned: .clientGone
            case .closed: .upstream(.closed)
            case .alert: .upstream(.tlsAlert)
            case .deadlinePassed: .upstream(.responseTimeout)
            case .tooManyInterim: .upstream(.tooManyInterim)
            case .head(let error): .upstream(UpstreamFailure(error))
            case .framing: .upstream(.invalidBody)
            case .unexpectedBytes: .upstream(.invalidResponse)
            case .truncated: .upstream(.truncated)
            }
        self.init(kind, at: .forward)
    }
}
