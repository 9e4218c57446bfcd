package import Policy
internal import Synchronization

/// What a claim would get now.
package enum LeasePreview: Equatable, Sendable {
    case free
    /// The job of this lease would be the response.
    case shared(RequestOutcome, LeaseConflict)
    /// The claim would be refused, or would wait.
    case conflict(LeaseConflict)
    /// Too many jobs of the organization run.
    case capped(JobCap)
}

extension LeaseTable {
    /// What `decide` would find. Changes nothing.
    func preview(_ claim: LeaseClaim, now: Moment) -> LeasePreview {
        shard(of: claim.key).records.withLock { $0.preview(claim, now: now) }
    }
}
