/// A job as far as a lease knows it.
package struct LeaseJob: Equatable, Sendable {
    package let id: String
    /// `sync`, `reset`, `refresh`, ...
    package let type: String
    /// In the upstream's own words; ``hasEnded`` understands them.
    package var status: String
    /// Milliseconds since the epoch, once it runs.
    package let startedAt: Int64?
    /// The path of the job's resource, for `Location`.
    package let location: String?

    package init(id: String, type: String, status: String, startedAt: Int64? = nil, location: String? = nil) {
        self.id = id
        self.type = type
        self.status = status
        self.startedAt = startedAt
        self.location = location
    }

    /// Whether the job has ended. A status nobody knows counts as running.
    package var hasEnded: Bool { Self.isTerminal(status) }

    /// The words of both families, in either case.
    package static func isTerminal(_ status: String) -> Bool { endings.contains { status.spells($0) } }

    private static let endings = ["succeeded", "failed", "cancelled", "canceled", "completed"]
}
