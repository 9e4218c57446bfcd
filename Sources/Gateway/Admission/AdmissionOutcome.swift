/// The one answer to an ``AdmissionRequest``.
enum AdmissionOutcome: ~Copyable {
    /// The work may begin. The limits are charged, and the lease is taken if one was asked for.
    case admitted(Lease?)
    /// A limit refuses the request; ``AdmissionRequest/limits`` says which. Nothing was charged.
    case limited
    /// Another operation has the connection. Nothing was charged.
    case conflict(LeaseConflict)
    /// The same request was sent before, and its work has begun or is about to. Nothing was charged.
    case resent(OwnLease)
}
