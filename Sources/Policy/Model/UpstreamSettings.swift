/// The `upstream` block of `gateway`: the connector service on other machines, and how the gateway treats it.
///
/// Where the block is absent the connector service of this process is the upstream.
package struct UpstreamSettings: Equatable, Sendable {
    /// At least one. Each address of a host name counts for itself; requests go to the one with the least under way.
    package var endpoints: [UpstreamURL]
    package var host = HostField.upstream
    package var credential = Credential.pass
    /// For the questions that the gateway asks itself, to keep leases in step with jobs.
    package var ownCredential = OwnCredential.asCredential
    package var tls = TLS()
    package var timeouts = Timeouts()
    package var connections = Connections()
    /// How often host names are resolved again.
    package var dnsRefresh = Duration.seconds(30)
    /// `nil`: endpoints are only judged by the requests they get.
    package var health: HealthCheck?
    package var breaker = Breaker()
    package var retryBudget = RetryBudget()
    /// Whether the upstream's own error goes into `details.upstream`; a rule of `errors` may say otherwise for its answers.
    package var showsErrors = false

    package init(endpoints: [UpstreamURL]) { self.endpoints = endpoints }

    /// What the `Host` field of forwarded requests says.
    package enum HostField: Equatable, Sendable {
        /// The authority of the endpoint's URL.
        case upstream
        /// What the client sent.
        case client
        case named(String)
    }

    /// What the gateway shows when it asks for itself.
    package enum OwnCredential: Equatable, Sendable {
        /// `credential` where that is a secret, else none.
        case asCredential
        case none
        case secret(Secret)
    }

    /// What becomes of the client's credential.
    package enum Credential: Equatable, Sendable {
        /// `Authorization` and `x-api-key` go on as they came.
        case pass
        /// They are removed.
        case strip
        /// They are removed, and this one is sent instead.
        case secret(Secret)
    }

    /// A field whose value is the content of a file: secrets are not in policies.
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

    /// How an `https` endpoint is verified. It always is.
    package struct TLS: Equatable, Sendable {
        /// A PEM file with the authorities to trust; `nil`: those of the system.
        package var authorities: String?
        /// The name in the server's certificate and in SNI; `nil`: the host of the URL.
        package var serverName: String?
        /// Shown to an upstream that asks for one.
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
        /// From the request's head to the end of its answer, even if data keeps moving: what was granted has to end at some
        /// time.
        package var total = Duration.seconds(3600)
        /// How long an unused connection is kept: shorter than the upstream keeps it, so that it is not closed just as a
        /// request is sent.
        package var idle = Duration.seconds(4)
        /// For a free place where `connections.inFlight` requests are under way.
        package var queue = Duration.seconds(1)

        package init() {}
    }

    /// The `connections` block.
    package struct Connections: Equatable, Sendable {
        /// Requests under way at once, over all workers and endpoints.
        package var inFlight = 1024
        /// Requests that may wait for a place, over all workers; more get 503 at once.
        package var queue = 256
        /// Unused connections kept, per worker and endpoint.
        package var idle = 64

        package init() {}
    }

    /// Asking each endpoint now and then whether it is well: a GET that must be answered with 2xx.
    package struct HealthCheck: Equatable, Sendable {
        /// Below the endpoint's base path.
        package var path: String
        /// From one question to the next.
        package var interval = Duration.seconds(5)
        /// From the attempt to connect to the end of the answer.
        package var timeout = Duration.seconds(2)
        /// So many good answers in a row bring an endpoint back.
        package var healthy = 2
        /// So many bad ones in a row take it out.
        package var unhealthy = 3

        package init(path: String) { self.path = path }
    }

    /// When the requests themselves show that an endpoint is not well.
    package struct Breaker: Equatable, Sendable {
        /// So many failures in a row take an endpoint out: no connection, no valid head of an answer in time, or 502, 503, 504.
        /// 409, 429 and every other answer is none.
        package var consecutiveFailures = 5
        /// For how long; then one request tries whether it is well again. Doubled with each failed try, up to 16 times.
        package var openFor = Duration.seconds(5)

        package init() {}
    }

    /// When a request that failed is sent once more: only where no byte of it was sent, or where it is idempotent and went
    /// over a connection that had died unnoticed.
    package struct RetryBudget: Equatable, Sendable {
        /// At most so many retries per hundred requests, and `minPerSecond` whatever the traffic.
        package var percent = 20
        package var minPerSecond = 3

        package init() {}
    }
}
