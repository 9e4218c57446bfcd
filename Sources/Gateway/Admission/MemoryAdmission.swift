internal import Transport

/// Admission in the memory of this process: the default. It answers without suspension.
///
/// Leases that must survive the process are in the journal of the ``LeaseTable``.
final class MemoryAdmission: AdmissionStore {
    private let limiter: RateLimiter
    private let leases: LeaseTable

    init(limiter: RateLimiter, leases: LeaseTable) {
        self.limiter = limiter
        self.leases = leases
    }

    /// The lease is looked at first: a request that begins no work is not charged for work, whatever its limits say.
    func admit(_ request: inout AdmissionRequest, now: Moment) -> AdmissionOutcome {
        // The order of locks is always that of the lease, then those of the limits.
        guard let claim = request.lease else {
            return limiter.take(&request.limits, now: now.instant.nanoseconds) ? .admitted(nil) : .limited
        }
        switch leases.decide(
            claim, at: request.place, now: now, on: request.loop,
            charge: { limiter.take(&request.limits, now: now.instant.nanoseconds) })
        {
        case .granted(let lease): return .admitted(lease)
        case .notCharged: return .limited
        case .conflict(let conflict):
            look(at: &request.limits, now)
            return .conflict(conflict)
        case .queued(let conflict):
            look(at: &request.limits, now)
            return .queued(conflict)
        case .shared(let shared):
            look(at: &request.limits, now)
            return .shared(shared)
        }
    }

    /// The response shows what is left, also if nothing is charged.
    private func look(at limits: inout RateLimitBatch, _ now: Moment) {
        _ = limiter.peek(&limits, now: now.instant.nanoseconds)
        limits.forgetRefusals()
    }
}
