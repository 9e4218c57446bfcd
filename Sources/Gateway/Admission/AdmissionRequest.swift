internal import Transport

/// What a request asks for before it may begin its work, as one value: it gets all of it, or nothing.
struct AdmissionRequest {
    /// The limits to charge. The result of each is written into it.
    var limits: RateLimitBatch
    /// The lease to take; `nil` if the request takes none.
    let lease: LeaseClaim?
    /// The record to open; `nil` if the request has no idempotency key.
    var key: IdempotencyClaim?
    /// Where the request waits if another operation has its connection; `nil` if it does not wait.
    var place: QueuePlace?
    /// Where the request can wait for the job of another one.
    let loop: EventLoop
}
