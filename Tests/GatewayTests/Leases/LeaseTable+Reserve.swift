import Policy

@testable import Gateway

extension LeaseTable {
    /// The lease of a claim that nobody sent before.
    func reserve(
        _ key: LeaseKey, kind: LeaseKind, family: RouteFamily = .other, from origin: LeaseOrigin = LeaseOrigin(),
        matrix: ConcurrencyMatrix, now: Moment, traceID: TraceID? = nil
    ) throws(LeaseConflict) -> Lease {
        let claim = LeaseClaim(key: key, kind: kind, family: family, origin: origin, matrix: matrix, traceID: traceID)
        switch decide(claim, now: now) {
        case .granted(let lease): return lease
        case .conflict(let conflict): throw conflict
        default: fatalError("no charge was asked for, and no owner was given")
        }
    }
}
