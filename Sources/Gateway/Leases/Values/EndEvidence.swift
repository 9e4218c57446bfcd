internal import Policy

/// How the gateway learned that a job has ended.
enum EndEvidence: Equatable, Sendable {
    /// The upstream said that the job succeeded or failed, or the service of this process said that it ended.
    case witnessed
    /// The upstream calls the job cancelled. Some upstreams say so before the work stops.
    case cancelled
    /// The upstream does not show the job any more.
    case absent

    /// `nil` for a job that has not ended.
    init?(_ job: LeaseJob) {
        switch job.phase {
        case .active: return nil
        case .ended: self = .witnessed
        case .cancelled: self = .cancelled
        }
    }
}
