import Testing

@testable import Gateway

@Suite("Failures of the upstream")
struct UpstreamFailureTests {
    struct Row {
        let status: Int
        let code: String
        let token: String
        var retryAfter: Int?
        var mayHaveBegun = true
    }

    /// Without `default`: a new failure has no answer until somebody has thought of one.
    private static func row(_ failure: UpstreamFailure) -> Row {
        switch failure {
        case .noEndpoint: unavailable("destination_unavailable")
        case .queueFull, .queueTimeout: unavailable("connection_limit_reached")
        case .localExhaustion: unavailable("proxy_internal_error")
        case .nameNotFound: bad("dns_error", mayHaveBegun: false)
        case .connectionRefused: bad("connection_refused", mayHaveBegun: false)
        case .unreachable: bad("destination_ip_unroutable", mayHaveBegun: false)
        case .certificate: bad("tls_certificate_error", mayHaveBegun: false)
        case .tls: bad("tls_protocol_error", mayHaveBegun: false)
        case .tlsAlert: bad("tls_alert_received", mayHaveBegun: false)
        case .loop: bad("proxy_loop_detected", mayHaveBegun: false)
        case .credentialRefused: bad("proxy_configuration_error", mayHaveBegun: false)
        case .jobLookupFailed: bad("http_response_timeout", mayHaveBegun: false)
        case .closed: bad("connection_terminated")
        case .invalidResponse, .tooManyInterim: bad("http_protocol_error")
        case .headTooLarge: bad("http_response_header_section_size")
        case .unexpectedUpgrade: bad("http_upgrade_failed")
        case .truncated: bad("http_response_incomplete")
        case .invalidBody: bad("http_response_transfer_coding")
        case .internalFailure: bad("proxy_internal_error")
        case .nameTimeout: late("dns_timeout", mayHaveBegun: false)
        case .connectTimeout: late("connection_timeout", mayHaveBegun: false)
        case .responseTimeout, .totalTimeout: late("http_response_timeout")
        case .bodyTimeout: late("connection_read_timeout")
        }
    }

    private static func unavailable(_ token: String) -> Row {
        Row(status: 503, code: "SERVICE_UNAVAILABLE", token: token, retryAfter: 2, mayHaveBegun: false)
    }

    private static func bad(_ token: String, mayHaveBegun: Bool = true) -> Row {
        Row(status: 502, code: "BAD_GATEWAY", token: token, mayHaveBegun: mayHaveBegun)
    }

    private static func late(_ token: String, mayHaveBegun: Bool = true) -> Row {
        Row(status: 504, code: "GATEWAY_TIMEOUT", token: token, mayHaveBegun: mayHaveBegun)
    }

    /// The types of RFC 9209, section 2.3.
    private static let registered: Set = [
        "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable", "destination_ip_prohibited",
        "destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout",
        "connection_read_timeout", "connection_write_timeout", "connection_limit_reached", "tls_protocol_error",
        "tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied",
        "http_response_incomplete", "http_response_header_section_size", "http_response_header_size",
        "http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size",
        "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout",
        "http_upgrade_failed", "http_protocol_error", "proxy_internal_response", "proxy_internal_error",
        "proxy_configuration_error", "proxy_loop_detected",
    ]

    @Test("UpstreamFailure: each has its response", arguments: UpstreamFailure.allCases)
    func table(failure: UpstreamFailure) {
        let row = Self.row(failure)
        let response = ErrorResponse(.failure(Failure(failure)))
        #expect(response.status == row.status)
        #expect(response.code == row.code)
        #expect(response.proxyError == row.token)
        #expect(Self.registered.contains(row.token))
        #expect(response.receivedStatus == nil)
        #expect(response.retryAfterSeconds == row.retryAfter)
        #expect(response.details == [.init("reason", .string(row.token))])
        #expect(!response.closesConnection)
        #expect(failure.mayHaveBegunWork == row.mayHaveBegun)
        #expect(Failure(failure).origin == .upstream)
        #expect(!failure.explanation.isEmpty)
    }

    @Test("UpstreamFailure: the gateway's own failures name it as well")
    func own() {
        for (kind, token) in [
            (.storeUnavailable, "proxy_internal_error"),
            (.overloaded, "proxy_internal_response"),
            (.internalError, "proxy_internal_error"),
        ] as [(Failure.Kind, String)] {
            #expect(ErrorResponse(.failure(Failure(kind, at: .forward))).proxyError == token)
            #expect(Self.registered.contains(token))
        }
    }
}
