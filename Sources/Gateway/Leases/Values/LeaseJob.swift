/// The part of a job that a lease stores.
package struct LeaseJob: Equatable, Sendable {
    package let id: String
    /// `sync`, `reset`, `refresh`, ...
    package let type: String
    /// In the upstream's words; ``hasEnded`` interprets them.
    package var status: String
    /// Milliseconds since the epoch; `nil` if the job has not started.
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

    /// Whether the job has ended. An unknown status counts as running.
    package var hasEnded: Bool { Self.isTerminal(status) }

    /// Whether `status` is a final status of either API family, in any case.
    package static func isTerminal(_ status: String) -> Bool { endings.contains { status.spells($0) } }

    private static let endings = ["succeeded", "failed", "cancelled", "canceled", "completed"]
}
