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
    /// The start of a request line, with method and base path, by the raw value of the method.
    let lineStarts: [[UInt8]]
    /// The bytes between target and fields: the end of the request line, and the `Host` line if the client's is not
    /// forwarded.
    let hostLines: [UInt8]
    /// Recognizes the upstream's own URLs in responses.
    let locations: UpstreamLocations
    private let outstanding = Atomic<Int>(0)
    /// A summary of `health`, readable without the lock. It is nearly always `healthy`.
    private let condition = Atomic<UInt8>(Condition.healthy)
    /// The number of good responses, counted only until `countsUntil`.
    private let good = Atomic<Int>(0)
    private let countsUntil = Atomic<UInt64>(0)
    private let served = ServedOrganizations()
    private let ejections = Atomic<Int>(0)
    private let health: Mutex<CircuitBreaker>
    private let ejectionLimit: EjectionLimit
    private let report: @Sendable (String) -> Void

    private enum Condition {
        static let healthy: UInt8 = 0
        /// Good responses are counted; requests are not restricted.
        static let counting: UInt8 = 1
        static let unhealthy: UInt8 = 2
    }

    init(
        url: UpstreamURL, address: SocketAddress, settings: UpstreamSettings,
        ejectionLimit: EjectionLimit = EjectionLimit(),
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.ejectionLimit = ejectionLimit
        self.report = report
        self.url = url
        self.address = address
        name = "\(address)"
        locations = UpstreamLocations(url, settings)
        lineStarts = HTTPMethod.allCases.map { Array("\($0.name) \(url.base)".utf8) }
        var host = url.authority
        if case .named(let name) = settings.host { host = name }
        hostLines = Array(" HTTP/1.1\r\nHost: \(host)\r\n".utf8)
        health = Mutex(CircuitBreaker(breaker: settings.breaker, check: settings.health))
    }

    /// The number of requests in flight, over all workers.
    var load: Int { outstanding.load(ordering: .relaxed) }

    /// Whether the endpoint is healthy. Costs one load.
    var isHealthy: Bool { condition.load(ordering: .relaxed) != Condition.unhealthy }

    /// Whether the endpoint gets no requests except probes.
    var isEjected: Bool { !isHealthy && health.withLock { $0.isEjected } }

    /// How often requests have ejected the endpoint, or failed probes kept it ejected.
    var ejectionCount: Int { ejections.load(ordering: .relaxed) }

    /// Whether a request may go to the endpoint now. After `.probe`, pass `asProbe: true` to `ended`.
    func admission(now: Instant, isNeeded: Bool = false) -> CircuitBreaker.Admission {
        guard !isHealthy else { return .admitted }
        return health.withLock { $0.admission(now: now, isNeeded: isNeeded) }
    }

    /// When the next probe may start if there is no other endpoint; see ``CircuitBreaker``.
    var opensAt: Instant? { health.withLock { $0.opensAt(isNeeded: true) } }

    /// What a request has shown about the endpoint. Organizations are given as keys.
    enum Outcome: Sendable {
        case good(organization: UInt64)
        /// No connection could be made.
        case unreachable(UpstreamFailure)
        /// The request was sent, and no response came.
        case silent(UpstreamFailure, organization: UInt64)
        /// 502, 503 or 504.
        case refusing(status: Int, organization: UInt64)
        case unknown
    }

    /// A request to the endpoint begins.
    func began() { outstanding.wrappingAdd(1, ordering: .relaxed) }

    /// A request that began has ended, whether it got a response or not.
    func ended(_ outcome: Outcome, asProbe isProbe: Bool, now: Instant) {
        outstanding.wrappingSubtract(1, ordering: .relaxed)
        if case .good(let organization) = outcome {
            served.record(organization, now: now)
            if condition.load(ordering: .relaxed) == Condition.healthy { return }
        }
        judge(outcome, asProbe: isProbe, now: now)
    }

    // Not inlined, because nearly every request returns before this call.
    @inline(never)
    private func judge(_ outcome: Outcome, asProbe isProbe: Bool, now: Instant) {
        switch outcome {
        case .unknown where !isProbe: return
        case .good where isHealthy:
            good.wrappingAdd(1, ordering: .relaxed)
            guard now.nanoseconds >= countsUntil.load(ordering: .relaxed) else { return }
        case .good, .unreachable, .silent, .refusing, .unknown: break
        }
        let change = health.withLock { health in
            let change = CircuitBreaker.Report(outcome, asProbe: isProbe, now: now).judged(by: &health, of: self)
            healthChanged(&health, now: now)
            return change
        }
        if let change { report(change) }
    }

    /// Facts for ``CircuitBreaker/Report``.
    func mayEject(because reason: CircuitBreaker.Reason) -> Bool { ejectionLimit.mayEject(self, because: reason) }
    func servesOthers(than known: FirstOrganizations, now: Instant) -> Bool { served.hasOthers(than: known, now: now) }
    var successes: Int { good.load(ordering: .relaxed) }

    private func healthChanged(_ health: inout CircuitBreaker, now: Instant?) {
        if let now { health.forgetStatuses(now: now) }
        countsUntil.store(health.countsUntil?.nanoseconds ?? 0, ordering: .relaxed)
        ejectionLimit.record(self, isEjected: health.isEjected)
        let condition =
            !health.isHealthy ? Condition.unhealthy : health.countsUntil == nil ? Condition.healthy : Condition.counting
        self.condition.store(condition, ordering: .relaxed)
    }

    private func report(_ change: CircuitBreaker.Change) {
        switch change {
        case .ejected(let time, let reason, let isProbe):
            ejections.wrappingAdd(1, ordering: .relaxed)
            report("upstream \(url) at \(name) \(isProbe ? "stays" : "is") ejected for \(time): \(reason)")
        case .keptInUse(let reason):
            report(
                "upstream \(url) at \(name) stays in use although it fails, because too many others are ejected: \(reason)"
            )
        case .readmitted: report("upstream \(url) at \(name) is readmitted")
        }
    }

    /// A health check ended. Returns whether it ejected or readmitted the endpoint.
    func checked(isGood: Bool) -> Bool {
        health.withLock { health in
            let hasChanged = health.checked(isGood: isGood)
            healthChanged(&health, now: nil)
            return hasChanged
        }
    }
}

extension CircuitBreaker {
    /// The outcome of a request, with its time.
    struct Report {
        private let outcome: Endpoint.Outcome
        private let isProbe: Bool
        private let now: Instant

        init(_ outcome: Endpoint.Outcome, asProbe isProbe: Bool, now: Instant) {
            self.outcome = outcome
            self.isProbe = isProbe
            self.now = now
        }

        func judged(by health: inout CircuitBreaker, of endpoint: Endpoint) -> Change? {
            switch outcome {
            case .good: return health.succeeded()
            case .unreachable(let failure):
                return health.wasUnreachable(failure, asProbe: isProbe, now: now) { endpoint.mayEject(because: $0) }
            case .silent(let failure, let organization):
                return health.didNotRespond(failure, to: organization, asProbe: isProbe, now: now) {
                    endpoint.servesOthers(than: $0, now: now)
                } mayEject: {
                    endpoint.mayEject(because: $0)
                }
            case .refusing(let status, let organization):
                return health.responded(
                    status: status, to: organization, good: endpoint.successes, asProbe: isProbe, now: now
                ) { endpoint.mayEject(because: $0) }
            case .unknown:
                if isProbe { health.probeAbandoned(now: now) }
                return nil
            }
        }
    }
}

extension CircuitBreaker.Reason: CustomStringConvertible {
    var description: String {
        switch self {
        case .unreachable(let failure), .silent(let failure): failure.explanation
        case .status(let status): "it responds \(status) to several organizations"
        }
    }
}
