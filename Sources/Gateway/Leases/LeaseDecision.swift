/// What became of a claim.
package enum LeaseDecision: ~Copyable {
    /// The claimant has the lease.
    case granted(Lease)
    /// Nothing was taken: the claimant could not be charged for the work.
    case notCharged
    /// Another operation has the connection.
    case conflict(LeaseConflict)
    /// The claimant's own request was sent again. It has this lease, with or without a job yet.
    case resent(OwnLease)
}

/// The lease that an earlier sending of the same request has.
package struct OwnLease: Sendable {
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
    package let generation: UInt64
    /// What a caller would get if the request did not count as sent again.
    package let conflict: LeaseConflict
}
