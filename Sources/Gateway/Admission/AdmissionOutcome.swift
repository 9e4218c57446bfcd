internal import Policy

/// The one answer to an ``AdmissionRequest``. Only an admitted request is charged.
enum AdmissionOutcome: ~Copyable {
    /// The work may begin. The limits are charged, and the lease and the record are those that were asked for.
    case admitted(Lease?, OpenRecord?)
    /// An earlier request had the key, and its record says this.
    case known(IdempotencyFinding)
    /// There is no record for the key, and none can be opened.
    case notRecorded(IdempotencyRefusal)
    /// A limit refuses the request; ``AdmissionRequest/limits`` says which.
    case limited
    /// Too many jobs of the organization run.
    case capped(JobCap)
    /// Another operation has the connection.
    case conflict(LeaseConflict)
    /// Another operation has the connection, and the request waits at its place.
    case queued(LeaseConflict)
    /// The job of another request is the response.
    case shared(SharedLease)
}
