/// The state of a lease.
package enum LeaseState: String, CaseIterable, Sendable {
    /// The request is in progress; its job is not known yet.
    case reserved
    /// A job runs.
    case held
    /// The job is being cancelled and has not ended yet.
    case draining
    /// The response was lost, so there may be a job. A poll of the upstream decides whether the lease is held or freed.
    case uncertain
    /// The job is over, as far as the upstream says. The connection stays reserved for the settle time of its kind.
    case settling
}

/// Why a lease is refused: the lease that already exists.
package struct LeaseConflict: Error, Equatable, Sendable {
    /// The name of the kind that holds the connection.
    package let kind: String
    package let state: LeaseState
    /// `nil` if the job is not known yet, or there is none.
    package let job: LeaseJob?
    /// Milliseconds since the epoch.
    package let heldSince: Int64
    /// Whole seconds, 1 to 60.
    package let retryAfterSeconds: Int
    /// The request that took the lease; `nil` if it is unknown.
    package let traceID: TraceID?
    /// See ``LeaseEntry``.
    package let generation: UInt64
    /// The name of the token that took the lease; `nil` if it is unknown.
    package let token: String?

    package init(
        kind: String, state: LeaseState, job: LeaseJob?, heldSince: Int64, retryAfterSeconds: Int,
        traceID: TraceID? = nil, generation: UInt64 = 0, token: String? = nil
    ) {
        self.kind = kind
        self.state = state
        self.job = job
        self.heldSince = heldSince
        self.retryAfterSeconds = retryAfterSeconds
        self.traceID = traceID
        self.generation = generation
        self.token = token
    }
}
