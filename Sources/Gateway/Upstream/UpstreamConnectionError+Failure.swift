internal import HTTP
internal import Transport

extension Failure {
    /// The failure of an exchange with the upstream.
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
