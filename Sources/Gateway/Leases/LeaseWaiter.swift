internal import Synchronization
internal import Transport

/// Somebody who waits for the job of a lease: a request that is the same as the one that took the lease, or the record of a request
/// with an idempotency key, which only looks at the outcome.
final class LeaseWaiter: Sendable {
    /// What the wait has led to.
    enum Outcome: Equatable, Sendable {
        /// The lease has this job. The job may be over already.
        case job(LeaseJob)
        /// The lease ended without a job: the work never began.
        case nothing
        /// The lease ended, and nobody can tell whether the work began.
        case unknown
    }

    private let waiter: Waiter?
    private let outcome = Mutex<Outcome?>(nil)

    /// Without a loop nobody can wait; the outcome can be looked at.
    init(loop: EventLoop?) { waiter = loop.map(Waiter.init) }

    /// The first outcome counts. From any thread.
    func end(_ outcome: Outcome) {
        self.outcome.withLock { if $0 == nil { $0 = outcome } }
        waiter?.wake()
    }

    /// The outcome so far. From any thread.
    var current: Outcome? { outcome.withLock { $0 } }

    /// Waits until `deadline`; `nil` if it has passed. On the loop only.
    func wait(before deadline: Instant) async -> Outcome? {
        _ = await waiter?.wait(before: deadline)
        return current
    }
}
