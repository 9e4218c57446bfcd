/// How far a lease is.
package enum LeaseState: String, CaseIterable, Sendable {
    /// The request is on its way; no job is known yet.
    case reserved
    /// A job runs.
    case held
    /// The job is being cancelled and has not ended yet.
    case draining
    /// The answer was lost: there may be a job. Not freed until the upstream has been asked.
    case uncertain
}

/// Why a lease is refused: what is there already.
package struct LeaseConflict: Error, Equatable, Sendable {
    /// The name of the kind that holds the connection.
    package let kind: String
    package let state: LeaseState
    /// `nil` while nobody knows the job, or where there is none.
    package let job: LeaseJob?
    /// Milliseconds since the epoch.
    package let heldSince: Int64
    /// Whole seconds, 1 to 60.
    package let retryAfterSeconds: Int
    /// The request that took the lease; `nil` where that is not known.
    package let traceID: TraceID?

    package init(
        kind: String, state: LeaseState, job: LeaseJob?, heldSince: Int64, retryAfterSeconds: Int,
        traceID: TraceID? = nil
    ) {
        self.kind = kind
        self.state = state
        self.job = job
        self.heldSince = heldSince
        self.retryAfterSeconds = retryAfterSeconds
        self.traceID = traceID
    }
}
