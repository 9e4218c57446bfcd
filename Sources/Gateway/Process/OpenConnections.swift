internal import Policy
internal import Synchronization
internal import Transport

/// The client connections of all workers, limited by the settings and the system.
final class OpenConnections: Sendable {
    let limiter: ConnectionLimiter
    /// The maximum number of descriptors that the process may open.
    private let descriptors: Int
    private let workers: Int
    private let report: @Sendable (String) -> Void
    private let lastShort = Mutex<Instant?>(nil)

    init(_ settings: GatewaySettings, descriptors: Int, workers: Int, report: @escaping @Sendable (String) -> Void) {
        self.descriptors = descriptors
        self.workers = workers
        self.report = report
        limiter = ConnectionLimiter(limit: settings.connections.open)
        adopt(settings)
    }

    /// Adopts new settings. Reports if the system does not permit the configured limit.
    func adopt(_ settings: GatewaySettings) {
        let asked = settings.connections.open
        let limit = OpenConnections.limit(settings, descriptors: descriptors, workers: workers)
        limiter.limit = limit
        guard limit < asked else { return }
        report(
            "warning: connections.open is \(asked), but at most \(limit) connections are open at once: the process may have \(descriptors) files open, and keeps some for its own work. Raise its limit of open files (ulimit -n, LimitNOFILE), or lower connections.open"
        )
    }

    /// The limit of open connections. If there are few descriptors, clients get at least a quarter of them.
    static func limit(_ settings: GatewaySettings, descriptors: Int, workers: Int) -> Int {
        // Files, the journal, the log, and the descriptors of each worker.
        var kept = 48 + 8 * workers + adminLimit(descriptors: descriptors) + ConnectionLimiter.maxEvictionRequests
        if let upstream = settings.upstream {
            kept += upstream.connections.inFlight + upstream.connections.idle * workers
        }
        return min(settings.connections.open, max(descriptors - min(kept, descriptors), descriptors / 4, 1))
    }

    static func adminLimit(descriptors: Int) -> Int { min(1024, max(8, descriptors / 8)) }

    /// The limit was reached. Reports it unless it was also reached in the last 60 s.
    func limitReached() {
        let now = Instant.now()
        let isNew = lastShort.withLock { last in
            defer { last = now }
            return last.map { $0 + .seconds(60) < now } ?? true
        }
        guard isNew else { return }
        report(
            "\(limiter.limit) connections are open, which is the limit: for each new connection the gateway closes an idle one, or refuses the new one if none is idle. Raise connections.open if clients need more"
        )
    }
}
