internal import Policy
internal import Transport

/// Admission in the memory of this process: the default. It answers without suspension.
///
/// Leases and records that must survive the process are in the journals of their tables.
final class MemoryAdmission: AdmissionStore {
    private let limiter: RateLimiter
    private let leases: LeaseTable
    private let records: IdempotencyTable

    init(limiter: RateLimiter, leases: LeaseTable, records: IdempotencyTable) {
        self.limiter = limiter
        self.leases = leases
        self.records = records
    }

    /// The record is opened first. It is dropped if the rest is refused; meanwhile a request with the same key finds it in progress.
    func admit(_ request: inout AdmissionRequest, now: Moment) -> AdmissionOutcome {
        guard let key = request.key else { return admitWork(&request, nil, now) }
        switch records.open(key, now: now) {
        case .opened(let record): return admitWork(&request, record, now)
        case .found(let finding):
            look(at: &request.limits, now)
            return .known(finding)
        case .refused(let refusal):
            look(at: &request.limits, now)
            return .notRecorded(refusal)
        }
    }

    /// The lease is looked at first: a request that begins no work is not charged for work, whatever its limits say.
    private func admitWork(
        _ request: inout AdmissionRequest, _ record: OpenRecord?, _ now: Moment
    ) -> AdmissionOutcome {
        // The order of locks is always that of the lease, then those of the limits.
        guard let claim = request.lease else {
            guard limiter.take(&request.limits, now: now.instant.nanoseconds) else { return .limited }
            record?.begin(nil, follower: nil)
            return .admitted(nil, record)
        }
        switch leases.decide(
            claim, at: request.place, now: now, on: request.loop,
            charge: { limiter.take(&request.limits, now: now.instant.nanoseconds) })
        {
        case .granted(let lease):
            if let record { begin(record, under: lease, claim) }
            return .admitted(lease, record)
        case .notCharged: return .limited
        case .capped(let cap):
            look(at: &request.limits, now)
            return .capped(cap)
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

    /// Only a lease for a job can tell what became of a request whose response was lost.
    private func begin(_ record: OpenRecord, under lease: borrowing Lease, _ claim: LeaseClaim) {
        guard lease.isForJob else { return record.begin(nil, follower: nil) }
        record.begin(IdempotencyWork(claim, lease.generation), follower: leases.follow(lease))
    }

    /// The response shows what is left, also if nothing is charged.
    private func look(at limits: inout RateLimitBatch, _ now: Moment) {
        _ = limiter.peek(&limits, now: now.instant.nanoseconds)
        limits.forgetRefusals()
    }
}

extension IdempotencyWork {
    fileprivate init(_ claim: LeaseClaim, _ generation: UInt64) {
        self.init(lease: claim.key, generation: generation, kind: claim.kind.name, family: claim.family)
    }
}
