/// The settings of the `gateway` section.
package struct GatewaySettings: Equatable, Sendable {
    package var listen: [ListenAddress] = [ListenAddress(host: "0.0.0.0", port: 8443)]
    /// `nil`: no admin listener.
    package var admin: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 8444)
    /// The names, besides `localhost` and addresses, that requests to the admin interface may use.
    package var adminNames: [String] = []
    /// `nil`: one per core.
    package var workers: Int?
    package var tls = TLS()
    package var timeouts = Timeouts()
    package var sizes = Sizes()
    package var connections = Connections()
    package var accessLog = AccessLog.all
    /// The maximum rate of error lines for one organization; `nil`: no maximum.
    package var accessLogErrors: LogRate?
    /// How long, and in how much memory, requests with an `Idempotency-Key` are remembered.
    package var idempotency = Idempotency()
    /// How many requests of one address may have an invalid credential; `nil`: any number.
    package var failedAuthentications: FailureLimit?
    /// `nil`: the connector service of this process.
    package var upstream: UpstreamSettings?
    /// Peers whose `X-Forwarded-` and `Forwarded` fields are trusted.
    package var trustedProxies: [AddressRange] = []

    package init() {}

    /// The `tls` block.
    package struct TLS: Equatable, Sendable {
        /// Empty: the gateway makes its own for `localhost`.
        package var certificates: [CertificateFiles] = []
        package var minimumVersion = MinimumVersion.tls12
        /// How long a session ticket is valid; keys are rotated at this interval.
        package var ticketLifetime = Duration.seconds(12 * 3600)

        package init() {}

        /// The oldest TLS version accepted.
        package enum MinimumVersion: Equatable, Sendable { case tls12, tls13 }
    }

    /// One certificate chain with its key, both PEM files. Its names are those in the certificate.
    package struct CertificateFiles: Equatable, Sendable {
        /// As written: relative to the policy folder unless absolute.
        package var certificate: String
        package var key: String
        /// `file:line:column` of the entry.
        package var source: String

        package init(certificate: String, key: String, source: String = "") {
            self.certificate = certificate
            self.key = key
            self.source = source
        }
    }

    /// The `timeouts` block.
    package struct Timeouts: Equatable, Sendable {
        /// From the moment the gateway takes up the connection to the end of the TLS handshake.
        package var handshake = Duration.seconds(10)
        /// From the first byte of a head to its end.
        package var head = Duration.seconds(10)
        /// Between two reads of a body.
        package var bodyProgress = Duration.seconds(30)
        /// For a body from beginning to end.
        package var body = Duration.seconds(300)
        /// Between two requests.
        package var idle = Duration.seconds(75)
        /// Between two writes to a client that does not read.
        package var write = Duration.seconds(30)
        /// Between failing readiness and refusing connections.
        package var drainDelay = Duration.seconds(1)
        /// For requests in flight, before connections are cut.
        package var drain = Duration.seconds(60)

        package init() {}
    }

    /// The `sizes` block.
    package struct Sizes: Equatable, Sendable {
        /// A larger head gets 431.
        package var headBytes = 16 << 10
        /// Path and query; a longer target gets 414.
        package var targetBytes = 8 << 10
        /// Field lines; more get 431.
        package var headers = 100
        /// For routes without their own maximum; a larger body gets 413.
        package var bodyBytes = 10 << 20
        /// For bodies that the gateway parses.
        package var inspectedBodyBytes = 1 << 20
        /// For the bodies of all requests in flight.
        package var bodyMemoryBytes = 256 << 20

        package init() {}
    }

    /// The `connections` block.
    package struct Connections: Equatable, Sendable {
        /// Open at once, over all workers.
        package var open = 20_000
        /// The requests after which a connection is closed; `nil`: any number.
        package var requests: Int?
        /// The age at which a connection is closed after its current request; `nil`: any age.
        package var age: Duration? = .seconds(3600)

        package init() {}
    }

    /// The `idempotency` block: the records of requests with an `Idempotency-Key`.
    package struct Idempotency: Equatable, Sendable {
        /// How long a record is kept.
        package var keep = Duration.seconds(86_400)
        /// For all records.
        package var memoryBytes = 64 << 20

        package init() {}
    }

    /// At most `count` lines in `periodSeconds`.
    package struct LogRate: Equatable, Sendable {
        package var count: Int
        package var periodSeconds: Int

        package init(count: Int, periodSeconds: Int) {
            self.count = count
            self.periodSeconds = periodSeconds
        }
    }

    /// `count` failures in `periodSeconds`, and `burst` at once.
    package struct FailureLimit: Equatable, Sendable {
        package let count: Int
        package let periodSeconds: Int
        package let burst: Int
        /// The exact durations of these.
        package let pace: LimitPace

        package init(count: Int, periodSeconds: Int, burst: Int) {
            self.count = count
            self.periodSeconds = periodSeconds
            self.burst = burst
            pace = LimitPace(
                count: UInt64(count), period: UInt64(periodSeconds) * 1_000_000_000, burst: UInt64(burst))
        }
    }

    /// Which requests get a log line.
    package enum AccessLog: String, CaseIterable, Sendable { case all, errors, off }
}
