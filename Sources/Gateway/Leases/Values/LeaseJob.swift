package import Policy

/// The part of a job that a lease stores.
package struct LeaseJob: Equatable, Sendable {
    package let id: String
    /// `sync`, `reset`, `refresh`, ...
    package let type: String
    /// In the upstream's words.
    package var status: String
    /// What the policies make of the status.
    package var phase: JobStatuses.Phase
    /// Milliseconds since the epoch; `nil` if the job has not started.
    package let startedAt: Int64?
    /// Milliseconds since the epoch; `nil` if the upstream does not say.
    package let createdAt: Int64?
    /// The path of the job's resource, for `Location`.
    package let location: String?

    /// `phase`: left out, the documented meaning of the status.
    package init(
        id: String, type: String, status: String, startedAt: Int64? = nil, createdAt: Int64? = nil,
        location: String? = nil, phase: JobStatuses.Phase? = nil
    ) {
        self.id = id
        self.type = type
        self.status = status
        self.startedAt = startedAt
        self.createdAt = createdAt
        self.location = location
        self.phase = phase ?? JobStatuses.documented.phase(of: status, family: .other) ?? .active
    }

    /// When it started. A job that has not started, or was cancelled before, only has the time of its creation, if that.
    var beganAt: Int64? { startedAt ?? createdAt }

    /// Whether the job has ended. An unknown status counts as running.
    package var hasEnded: Bool { phase != .active }
}
