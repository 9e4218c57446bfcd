/// Why the upstream gave no response, or an incomplete one. Never the client's fault.
///
/// The article about failures has a row for each case; a test compares the two.
package enum UpstreamFailure: Error, Equatable, Hashable, CaseIterable, Sendable {
    /// All endpoints are ejected, or there is none yet.
    case noEndpoint
    /// All permits are taken, and the queue is full.
    case queueFull
    /// No permit became free in time.
    case queueTimeout
    case nameNotFound
    case nameTimeout
    case connectionRefused
    /// No route to the endpoint's network or host.
    case unreachable
    case connectTimeout
    /// The endpoint's certificate is not trusted.
    case certificate
    /// The TLS handshake failed for another reason.
    case tls
    /// The endpoint rejected the handshake with an alert, for example because a client certificate is missing.
    case tlsAlert
    /// The connection ended before the response began.
    case closed
    /// The head did not arrive in time, or the endpoint stopped reading the request.
    case responseTimeout
    /// The response is not HTTP, or its framing is contradictory; or a status poll's response does not show the job.
    case invalidResponse
    /// The response head exceeds the limits.
    case headTooLarge
    /// `101` without a request to switch protocols.
    case unexpectedUpgrade
    /// There were too many interim responses.
    case tooManyInterim
    /// The body ended early.
    case truncated
    case bodyTimeout
    /// The response did not end in time.
    case totalTimeout
    /// The framing of the body is invalid.
    case invalidBody
    /// The request has already passed through this gateway.
    case loop
    /// The upstream does not accept the gateway's own credential.
    case credentialRefused
    /// The upstream did not say in time which connection a job is on, so the request about that job was not sent.
    case jobLookupFailed
    /// This machine has no descriptors or ports left.
    case localExhaustion
    /// The upstream in this process failed, or no route has the path of a remote upstream's jobs.
    case internalFailure

    /// The status of the gateway's response.
    package var status: Int {
        switch self {
        case .noEndpoint, .queueFull, .queueTimeout, .localExhaustion: 503
        case .nameTimeout, .connectTimeout, .responseTimeout, .bodyTimeout, .totalTimeout: 504
        case .nameNotFound, .connectionRefused, .unreachable, .certificate, .tls, .tlsAlert, .closed, .invalidResponse,
            .headTooLarge, .unexpectedUpgrade, .tooManyInterim, .truncated, .invalidBody, .loop, .credentialRefused,
            .jobLookupFailed, .internalFailure:
            502
        }
    }

    /// The `error` of `Proxy-Status` (RFC 9209, section 2.3).
    package var proxyError: String {
        switch self {
        case .noEndpoint: "destination_unavailable"
        case .queueFull, .queueTimeout: "connection_limit_reached"
        case .nameNotFound: "dns_error"
        case .nameTimeout: "dns_timeout"
        case .connectionRefused: "connection_refused"
        case .unreachable: "destination_ip_unroutable"
        case .connectTimeout: "connection_timeout"
        case .certificate: "tls_certificate_error"
        case .tls: "tls_protocol_error"
        case .tlsAlert: "tls_alert_received"
        case .closed: "connection_terminated"
        case .responseTimeout, .totalTimeout, .jobLookupFailed: "http_response_timeout"
        case .invalidResponse, .tooManyInterim: "http_protocol_error"
        case .headTooLarge: "http_response_header_section_size"
        case .unexpectedUpgrade: "http_upgrade_failed"
        case .truncated: "http_response_incomplete"
        case .bodyTimeout: "connection_read_timeout"
        case .invalidBody: "http_response_transfer_coding"
        case .loop: "proxy_loop_detected"
        case .credentialRefused: "proxy_configuration_error"
        case .localExhaustion, .internalFailure: "proxy_internal_error"
        }
    }

    /// Whether the upstream may have begun the work: the request, or a part of it, may have reached it.
    package var mayHaveBegunWork: Bool {
        switch self {
        case .noEndpoint, .queueFull, .queueTimeout, .nameNotFound, .nameTimeout, .connectionRefused, .unreachable,
            .connectTimeout, .certificate, .tls, .tlsAlert, .loop, .credentialRefused, .jobLookupFailed,
            .localExhaustion:
            false
        case .closed, .responseTimeout, .invalidResponse, .headTooLarge, .unexpectedUpgrade, .tooManyInterim,
            .truncated, .bodyTimeout, .totalTimeout, .invalidBody, .internalFailure:
            true
        }
    }

    /// The failure in words, for operators.
    package var explanation: String {
        switch self {
        case .noEndpoint: "no healthy endpoint"
        case .queueFull: "too many requests wait for the upstream"
        case .queueTimeout: "no permit for the upstream became free in time"
        case .nameNotFound: "the host name does not resolve"
        case .nameTimeout: "the host name did not resolve in time"
        case .connectionRefused: "the connection was refused"
        case .unreachable: "the host cannot be reached"
        case .connectTimeout: "the connection was not made in time"
        case .certificate: "the certificate is not trusted"
        case .tls: "the TLS handshake failed"
        case .tlsAlert: "the endpoint rejected the TLS handshake"
        case .closed: "the connection ended before the response"
        case .responseTimeout: "the response did not come in time"
        case .jobLookupFailed: "the upstream did not say which connection the job is on"
        case .invalidResponse: "the response is not valid HTTP"
        case .headTooLarge: "the head of the response is too large"
        case .unexpectedUpgrade: "the upstream switched protocols without a request to"
        case .tooManyInterim: "there are too many interim responses"
        case .truncated: "the response ended early"
        case .bodyTimeout: "the response stopped before its end"
        case .totalTimeout: "the response did not end in time"
        case .invalidBody: "the framing of the response is invalid"
        case .loop: "the request has already passed through this gateway"
        case .credentialRefused: "the gateway's credential was refused"
        case .localExhaustion: "this machine has no descriptors or ports left"
        case .internalFailure: "the connector service failed"
        }
    }
}
