package import Policy

/// The lease under which a request with a key does its work.
package struct IdempotencyWork: Equatable, Sendable {
    package let lease: LeaseKey
    package let generation: UInt64
    /// The name of the lease's kind.
    package let kind: String
    /// The API family whose paths show the job.
    package let family: RouteFamily

    package init(lease: LeaseKey, generation: UInt64, kind: String, family: RouteFamily) {
        self.lease = lease
        self.generation = generation
        self.kind = kind
        self.family = family
    }
}
