internal import Policy
internal import Synchronization
internal import Transport

/// The connections of clients over all workers, held against what the settings and the system permit.
final class OpenConnections: Sendable {
    let room: ConnectionRoom
    /// What the process may open.
    private let descriptors: Int
    private let workers: Int
    private let report: @Sendable (String) -> Void
    private let lastShort = Mutex<Instant?>(nil)

    init(_ settings: GatewaySettings, descriptors: Int, workers: Int, report: @escaping @Sendable (String) -> Void) {
        self.descriptors = descriptors
        self.workers = workers
        self.report = report
        room = ConnectionRoom(limit: settings.connections.open)
        adopt(settings)
    }

    /// Says what a limit came to that the system does not permit.
    func adopt(_ settings: GatewaySettings) {
        let asked = settings.connections.open
        let limit = OpenConnections.limit(settings, descriptors: descriptors, workers: workers)
        room.limit = limit
        guard limit < asked else { return }
        report(
            "warning: connections.open is \(asked), but at most \(limit) connections are open at once: the process may have \(descriptors) files open, and keeps some for its own work. Raise its limit of open files (ulimit -n, LimitNOFILE), or lower connections.open"
        )
    }

    /// Where descriptors are few, a quarter of them is for clients, whatever else needs them.
    static func limit(_ settings: GatewaySettings, descriptors: Int, workers: Int) -> Int {
        // Files, the journal, the log, and what each worker has.
        var kept = 48 + 8 * workers + adminLimit(descriptors: descriptors) + ConnectionRoom.maxAsking
        if let upstream = settings.upstream {
            kept += upstream.connections.inFlight + upstream.connections.idle * workers
        }
        return min(settings.connections.open, max(descriptors - min(kept, descriptors), descriptors / 4, 1))
    }

    static func adminLimit(descriptors: Int) -> Int { min(1024, max(8, descriptors / 8)) }

    /// Says so once for each time that room begins to be short.
    func ranShort() {
        let now = Instant.now()
        let isNew = lastShort.withLock { last in
            defer { last = now }
            return last.map { $0 + .seconds(60) < now } ?? true
        }
        guard isNew else { return }
        report(
            "\(room.limit) connections are open, which is the limit: for each new connection the gateway closes one that has no request under way, or refuses the new one if there is none"
        )
    }
}
