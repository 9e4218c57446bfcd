/// Where limits, leases and the records of idempotency keys are kept, for one gateway or for several.
///
/// Each request is one call, so that a store behind a network needs one round trip. `AdmitStage` names ``MemoryAdmission`` today, so
/// that its call never suspends.
protocol AdmissionStore: Sendable {
    /// Decides a request atomically: of parallel requests, no two ever get what only one may have.
    func admit(_ request: inout AdmissionRequest, now: Moment) async -> AdmissionOutcome
}
