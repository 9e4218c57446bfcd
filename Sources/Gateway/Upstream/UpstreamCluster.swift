internal import Policy
internal import Synchronization
internal import Transport

/// The remote upstream, shared by all workers: its endpoints, their health, and the limits of requests in flight.
final class UpstreamCluster: Sendable {
    let configuration: UpstreamConfiguration
    let limiter: ConcurrencyLimiter
    /// For the gateway's status polls.
    let pollLimiter: ConcurrencyLimiter
    private let endpoints = Mutex<[Endpoint]>([])
    private let ejectionLimit = EjectionLimit()
    private let report: @Sendable (String) -> Void
    private let changes = Atomic<UInt64>(0)
    /// Names without addresses so far, with the reason.
    private let nameless = Mutex<[UpstreamURL: UpstreamFailure]>([:])

    var settings: UpstreamSettings { configuration.settings }

    /// `report` gets a line for the operator when an endpoint is ejected or readmitted.
    init(_ configuration: UpstreamConfiguration, report: @escaping @Sendable (String) -> Void = { _ in }) {
        self.configuration = configuration
        self.report = report
        limiter = ConcurrencyLimiter(configuration.settings)
        pollLimiter = ConcurrencyLimiter(forPollsWith: configuration.settings)
        // Endpoints with numeric addresses can be used from the first request on.
        for url in configuration.settings.endpoints {
            if let address = url.address { resolved(url, to: [address]) }
        }
    }

    /// A number that changes whenever the endpoints change.
    var version: UInt64 { changes.load(ordering: .acquiring) }

    /// The current endpoints.
    var current: [Endpoint] { endpoints.withLock { $0 } }

    /// The URLs whose host is a name.
    var names: [UpstreamURL] {
        settings.endpoints.filter { $0.address == nil }
    }

    /// A host name was resolved to these addresses. Endpoints whose address stays keep their state.
    func resolved(_ url: UpstreamURL, to addresses: [SocketAddress]) {
        nameless.withLock { $0[url] = nil }
        endpoints.withLock { endpoints in
            let known = endpoints.filter { $0.url == url }
            guard known.map(\.address) != addresses else { return }
            let new = addresses.map { address in
                known.first { $0.address == address }
                    ?? Endpoint(
                        url: url, address: address, settings: settings, ejectionLimit: ejectionLimit, report: report)
            }
            endpoints = endpoints.filter { $0.url != url } + new
            ejectionLimit.hasOnly(endpoints)
            changes.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// A host name could not be resolved. Earlier addresses stay, because an old result is better than none.
    func unresolved(_ url: UpstreamURL, _ failure: UpstreamFailure) { nameless.withLock { $0[url] = failure } }

    func usage() -> UpstreamUsage {
        let (inFlight, waiting) = limiter.usage
        let endpoints = current.map {
            EndpointUsage(
                url: "\($0.url)", address: $0.name, isHealthy: $0.isHealthy, isEjected: $0.isEjected,
                ejections: $0.ejectionCount)
        }
        return UpstreamUsage(inFlight: inFlight, waiting: waiting, shares: limiter.shares, endpoints: endpoints)
    }

    /// Why there is no endpoint for a request.
    var reasonForNone: UpstreamFailure {
        guard current.isEmpty else { return .noEndpoint }
        return nameless.withLock { $0.values.first } ?? .noEndpoint
    }
}

extension UpstreamURL {
    /// `nil` if the host is a name.
    fileprivate var address: SocketAddress? {
        IPAddress.bytes(of: host) == nil ? nil : SocketAddress(host: host, port: port)
    }
}
