/// The `upstream` block of `gateway`: a remote upstream.
///
/// Without the block, the connector service of this process is the upstream.
package struct UpstreamSettings: Equatable, Sendable {
    /// At least one. Each address of a host name is an endpoint; a request goes to the one with the fewest in flight.
    package var endpoints: [UpstreamURL]
    package var host = HostField.upstream
    package var credential = Credential.pass
    /// For the gateway's own status polls.
    package var ownCredential = OwnCredential.asCredential
    package var tls = TLS()
    package var timeouts = Timeouts()
    package var connections = Connections()
    /// How often host names are resolved again.
    package var dnsRefresh = Duration.seconds(30)
    /// `nil`: no health checks; only the circuit breaker ejects endpoints.
    package var health: HealthCheck?
    package var breaker = Breaker()
    package var retryBudget = RetryBudget()
    /// Whether the upstream's own error goes into `details.upstream`; a rule of `errors` may override this.
    package var showsOriginalError = false

    package init(endpoints: [UpstreamURL]) { self.endpoints = endpoints }

    /// The `Host` field of forwarded requests.
    package enum HostField: Equatable, Sendable {
        /// The authority of the endpoint's URL.
        case upstream
        /// The client's `Host`.
        case client
        case named(String)
    }

    /// The credential of the gateway's own requests.
    package enum OwnCredential: Equatable, Sendable {
        /// `credential` if it is a secret, else none.
        case asCredential
        case none
        case secret(Secret)
    }

    /// How the gateway treats the client's credential.
    package enum Credential: Equatable, Sendable {
        /// `Authorization` and `x-api-key` are forwarded unchanged.
        case pass
        /// They are removed.
        case strip
        /// They are removed, and this one is sent instead.
        case secret(Secret)
    }

    /// A field whose value is the content of a file: policies hold no secrets.
    package struct Secret: Equatable, Sendable {
        package var header: String
        /// As written: relative to the policy folder unless absolute. White space at the end is not part of the secret. The
        /// value is sent as it is, so a bearer token's file begins with `Bearer `.
        package var file: String
        /// `file:line:column` of the entry.
        package var source: String

        package init(header: String, file: String, source: String = "") {
            self.header = header
            self.file = file
            self.source = source
        }
    }

    /// How an `https` endpoint is verified. It is always verified.
    package struct TLS: Equatable, Sendable {
        /// A PEM file with the authorities to trust; `nil`: those of the system.
        package var authorities: String?
        /// The name in the server's certificate and in SNI; `nil`: the host of the URL.
        package var serverName: String?
        /// Sent to an upstream that asks for one.
        package var clientCertificate: GatewaySettings.CertificateFiles?

        package init() {}
    }

    /// The deadlines of one exchange with the upstream; routes may have their own for `connect`, `responseHead`, `bodyProgress`
    /// and `total`.
    package struct Timeouts: Equatable, Sendable {
        /// For the TCP connection and for the TLS handshake, each.
        package var connect = Duration.seconds(2)
        /// From the end of the request to the end of the response's head. Longer than the 60 s after which SDKs give up: they
        /// send a POST again when they get a 504.
        package var responseHead = Duration.seconds(75)
        /// Between two pieces of a body, in either direction.
        package var bodyProgress = Duration.seconds(30)
        /// From the request's head to the end of the response, even if data keeps moving: permits and leases must end
        /// at some time.
        package var total = Duration.seconds(3600)
        /// How long an unused connection is kept: shorter than the upstream keeps it, so that it is not closed just as a
        /// request is sent.
        package var idle = Duration.seconds(4)
        /// How long a request waits for a permit while `connections.inFlight` are in flight.
        package var queue = Duration.seconds(1)

        package init() {}
    }

    /// The `connections` block.
    package struct Connections: Equatable, Sendable {
        /// The maximum of requests in flight, over all workers and endpoints.
        package var inFlight = 1024
        /// Requests that may wait for a permit, over all workers; more get 503 at once.
        package var queue = 256
        /// Unused connections kept, per worker and endpoint.
        package var idle = 64

        package init() {}
    }

    /// A GET sent to each endpoint at intervals; a healthy endpoint responds with 2xx.
    package struct HealthCheck: Equatable, Sendable {
        /// Below the endpoint's base path.
        package var path: String
        /// From one check to the next.
        package var interval = Duration.seconds(5)
        /// From the attempt to connect to the end of the response.
        package var timeout = Duration.seconds(2)
        /// Consecutive successful checks after which an endpoint is healthy.
        package var healthy = 2
        /// Consecutive failed checks after which it is unhealthy.
        package var unhealthy = 3

        package init(path: String) { self.path = path }
    }

    /// When failed requests eject an endpoint.
    package struct Breaker: Equatable, Sendable {
        /// Consecutive failures that eject an endpoint: no connection, no valid response head in time, or 502, 503,
        /// 504. Any other response, such as 409 or 429, is no failure.
        package var consecutiveFailures = 5
        /// How long an endpoint is ejected; then one request probes it. Each failed probe doubles this, up to 16-fold.
        package var openFor = Duration.seconds(5)

        package init() {}
    }

    /// The maximum of retries. A failed request is sent again only if no byte of it was sent, or if it is idempotent
    /// and its pooled connection turned out to be dead.
    package struct RetryBudget: Equatable, Sendable {
        /// Retries per hundred requests; `minPerSecond` are allowed whatever the traffic.
        package var percent = 20
        package var minPerSecond = 3

        package init() {}
    }
}
