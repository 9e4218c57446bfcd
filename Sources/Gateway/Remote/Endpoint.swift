internal import HTTP
internal import Policy
internal import Synchronization
internal import Transport

/// One address of the upstream, shared by all workers.
final class Endpoint: Sendable {
    let url: UpstreamURL
    let address: SocketAddress
    /// The address, for the log.
    let name: String
    /// How a request line begins, method and base path, by the raw value of the method.
    let lineStarts: [[UInt8]]
    /// How it ends, and the `Host` line where that is not the client's: the bytes between target and fields.
    let hostLines: [UInt8]
    private let outstanding = Atomic<Int>(0)
    /// Whether `health` has anything to say; nearly always it has not, and no lock is taken.
    private let isTroubled = Atomic<Bool>(false)
    private let health: Mutex<EndpointHealth>

    init(url: UpstreamURL, address: SocketAddress, settings: UpstreamSettings) {
        self.url = url
        self.address = address
        name = "\(address)"
        lineStarts = HTTPMethod.allCases.map { Array("\($0.name) \(url.base)".utf8) }
        var host = url.authority
        if case .named(let name) = settings.host { host = name }
        hostLines = Array(" HTTP/1.1\r\nHost: \(host)\r\n".utf8)
        health = Mutex(EndpointHealth(breaker: settings.breaker, check: settings.health))
    }

    /// How many requests are under way there, over all workers.
    var load: Int { outstanding.load(ordering: .relaxed) }

    /// Nothing speaks against it. Costs one load.
    var isWell: Bool { !isTroubled.load(ordering: .relaxed) }

    /// Whether a request may go there now; if it is on trial, `ended` has to be told so.
    func admission(now: Instant) -> EndpointHealth.Admission {
        guard isTroubled.load(ordering: .relaxed) else { return .admitted }
        return health.withLock { $0.admission(now: now) }
    }

    /// When it can be tried again; see ``EndpointHealth``.
    var opensAt: Instant? { health.withLock { $0.opensAt } }

    /// What a request told about the endpoint.
    enum Outcome: Sendable { case good, bad, unknown }

    /// A request goes there.
    func began() { outstanding.wrappingAdd(1, ordering: .relaxed) }

    /// A request that began there is over, or came to nothing.
    func ended(_ outcome: Outcome, onTrial isTrial: Bool, now: Instant) {
        outstanding.wrappingSubtract(1, ordering: .relaxed)
        if outcome != .bad, !isTroubled.load(ordering: .relaxed) { return }
        health.withLock { health in
            switch outcome {
            case .good: health.succeeded()
            case .bad: health.failed(onTrial: isTrial, now: now)
            case .unknown: if isTrial { health.trialAbandoned(now: now) }
            }
            isTroubled.store(!health.isWell, ordering: .relaxed)
        }
    }

    /// The endpoint was asked how it is. Returns whether the check put the endpoint out or brought it back.
    func checked(isGood: Bool) -> Bool {
        health.withLock { health in
            let hasChanged = health.checked(isGood: isGood)
            isTroubled.store(!health.isWell, ordering: .relaxed)
            return hasChanged
        }
    }
}
