internal import Transport

/// What a request asks for before it may begin its work, as one value: it gets all of it, or nothing.
struct AdmissionRequest {
    /// The limits to charge. The result of each is written into it.
    var limits: RateLimitBatch
    /// The lease to take; `nil` if the request takes none.
    let lease: LeaseClaim?
    /// Where the request can wait for the job of its own lease.
    let loop: EventLoop
}
