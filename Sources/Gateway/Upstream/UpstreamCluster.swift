package import Crypto
internal import HTTP
package import Policy
internal import Synchronization
internal import Transport

/// The policies' settings of a remote upstream, with the contents of the files that they name.
package struct UpstreamConfiguration: Sendable, Equatable {
    package let settings: UpstreamSettings
    /// For `https` endpoints.
    package let tls: TLSClientContext?
    /// Replaces the client's credential; `nil` if the gateway adds none.
    package let credential: SecretField?
    /// For the gateway's status polls.
    package let ownCredential: SecretField?
    /// Identifies the contents of the files.
    private let fingerprint: [UInt8]

    package init(
        settings: UpstreamSettings, tls: TLSClientContext? = nil, credential: SecretField? = nil,
        ownCredential: SecretField? = nil, fingerprint: [UInt8] = []
    ) {
        self.settings = settings
        self.tls = tls
        self.credential = credential
        self.ownCredential = ownCredential
        self.fingerprint = fingerprint
    }

    /// The values of the credentials.
    var secrets: [String] { [credential, ownCredential].compactMap { $0?.value } }

    /// Whether both have the same settings, and files with the same contents.
    package static func == (one: UpstreamConfiguration, other: UpstreamConfiguration) -> Bool {
        one.settings == other.settings && one.fingerprint == other.fingerprint
    }
}

/// A field line with a secret in it. Never logged.
package struct SecretField: Sendable, Equatable, CustomStringConvertible {
    /// `Name: value`, line end included.
    let line: [UInt8]
    /// The name, in lower case.
    let name: [UInt8]

    /// `nil` if the value is empty, or has bytes that no field value can have.
    package init?(header: String, value: [UInt8]) {
        guard !value.isEmpty, value.allSatisfy(\.isFieldValueByte) else { return nil }
        line = Array("\(header): ".utf8) + value + Array("\r\n".utf8)
        name = Array(header.lowercased().utf8)
    }

    /// The field value: the part after the name.
    var value: String { String(decoding: line[(name.count + 2)..<(line.count - 2)], as: UTF8.self) }

    package var description: String { "(secret)" }
}

/// The current state of a remote upstream, for metrics.
struct UpstreamUsage: Sendable {
    let inFlight: Int
    let waiting: Int
    /// Permits and waiting requests by organization.
    let shares: [ShareUsage]
    let endpoints: [EndpointUsage]
}

/// The current state of an endpoint, for metrics.
struct EndpointUsage: Sendable {
    let url: String
    let address: String
    let isHealthy: Bool
    let isEjected: Bool
    let ejections: Int
}

/// The remote upstream, shared by all workers: its endpoints, their health, and the limits of requests in flight.
final class UpstreamCluster: Sendable {
    let plan: UpstreamConfiguration
    let limiter: ConcurrencyLimiter
    /// For the gateway's status polls.
    let pollLimiter: ConcurrencyLimiter
    private let endpoints = Mutex<[Endpoint]>([])
    private let ejectionLimit = EjectionLimit()
    private let report: @Sendable (String) -> Void
    private let changes = Atomic<UInt64>(0)
    /// Names without addresses so far, with the reason.
    private let nameless = Mutex<[UpstreamURL: UpstreamFailure]>([:])

    var settings: UpstreamSettings { plan.settings }

    /// `report` gets a line for the operator when an endpoint is ejected or readmitted.
    init(_ plan: UpstreamConfiguration, report: @escaping @Sendable (String) -> Void = { _ in }) {
        self.plan = plan
        self.report = report
        limiter = ConcurrencyLimiter(plan.settings)
        pollLimiter = ConcurrencyLimiter(forPollsWith: plan.settings)
        // Endpoints with numeric addresses can be used from the first request on.
        for url in plan.settings.endpoints {
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
