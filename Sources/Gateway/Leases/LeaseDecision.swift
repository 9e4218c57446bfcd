package import Policy

/// What became of a claim.
package enum LeaseDecision: ~Copyable {
    /// The claimant has the lease.
    case granted(Lease)
    /// Nothing was taken: the claimant could not be charged for the work.
    case notCharged
    /// Nothing was taken: too many jobs of the organization run.
    case capped(JobCap)
    /// Another operation has the connection.
    case conflict(LeaseConflict)
    /// Another operation has the connection, and the claim waits at its place in the queue.
    case queued(LeaseConflict)
    /// A running job is the response, now or as soon as it is known.
    case shared(SharedLease)
}

/// The lease of an earlier request, whose job is the response to a claim.
package struct SharedLease: Sendable {
    /// The job of the lease, or the way to it.
    enum Progress: Sendable {
        case job(LeaseJob)
        /// The upstream's response, or a poll, will name it. The waiter is in the lease already, so it misses nothing. Whoever gives
        /// up calls ``LeaseTable/stopWaiting(_:for:on:)``.
        case awaited(LeaseWaiter)
        /// The job is not known, and too many requests wait for it.
        case tooManyWaiters
    }

    let serial: UInt64
    let progress: Progress
    /// Why its job is the response.
    package let outcome: RequestOutcome
    package let generation: UInt64
    /// What the claimant gets if the job does not become known.
    package let conflict: LeaseConflict
}
