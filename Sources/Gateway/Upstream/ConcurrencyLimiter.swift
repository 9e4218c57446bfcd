internal import Policy
internal import Synchronization
internal import Transport

/// The right to one request in flight to the upstream. Dropping it releases the permit, whichever way the request ends.
struct UpstreamPermit: ~Copyable {
    private let limiter: ConcurrencyLimiter
    private let slot: ShareSlot

    fileprivate init(_ limiter: ConcurrencyLimiter, _ slot: ShareSlot) {
        self.limiter = limiter
        self.slot = slot
    }

    deinit { limiter.release(slot) }
}

/// The share of the permits that a request counts against. It caches where the limiter found the share, so that the next
/// request of the connection does not search again.
struct PermitShare {
    var owner = ShareOwner(organization: 0, token: 0)
    fileprivate var slot = ShareSlot.unknown

    init() {}

    init(_ owner: ShareOwner) { self.owner = owner }
}

/// The limit of requests in flight to the upstream, with a short queue. All workers share it, and it is divided fairly.
final class ConcurrencyLimiter: Sendable {
    private struct State {
        var shares: FairShares<Ticket>
        var retries: RetryBudget
    }

    /// One waiting request. It gets a permit, or leaves the queue, under the limiter's lock.
    ///
    /// `@unchecked Sendable`: `permit` and `isDisplaced` are used under the lock only.
    private final class Ticket: @unchecked Sendable {
        let waiter: Waiter
        /// The share that its permit counts against.
        var permit: ShareSlot?
        /// A waiter whose organization has fewer waiters took its place in the full queue.
        var isDisplaced = false

        init(loop: EventLoop) { waiter = Waiter(loop: loop) }
    }

    private let state: Mutex<State>

    init(_ settings: UpstreamSettings) {
        state = Mutex(
            State(
                shares: FairShares(capacity: settings.connections.inFlight, maxWaiting: settings.connections.queue),
                retries: RetryBudget(settings.retryBudget)))
    }

    /// The limiter of status polls. It is separate, so that polls work however many client requests are in flight.
    init(forPollsWith settings: UpstreamSettings) {
        state = Mutex(
            State(
                shares: FairShares(capacity: ConcurrencyLimiter.maxPolls, maxWaiting: 8 * ConcurrencyLimiter.maxPolls),
                retries: RetryBudget(settings.retryBudget)))
    }

    /// The maximum number of polls in flight, in addition to client requests.
    static let maxPolls = 32

    /// Acquires a permit. Waits for its turn until `deadline`.
    func acquire(
        on loop: EventLoop, before deadline: Instant, _ share: inout PermitShare
    ) async throws(UpstreamFailure) -> UpstreamPermit {
        if let permit = tryAcquire(now: loop.now, &share) { return permit }
        return try await waitForPermit(on: loop, before: deadline, &share)
    }

    /// Waits for a permit until `deadline`. Call it after ``tryAcquire(now:_:)`` returned `nil`.
    func waitForPermit(
        on loop: EventLoop, before deadline: Instant, _ share: inout PermitShare
    ) async throws(UpstreamFailure) -> UpstreamPermit {
        let ticket = Ticket(loop: loop)
        guard let queued = enqueue(ticket, &share) else { throw .queueFull }
        // A permit may have become free between the two locks.
        handOver()
        _ = await ticket.waiter.wait(before: deadline)
        let (permit, isDisplaced) = state.withLock { state in
            if ticket.permit == nil, !ticket.isDisplaced { state.shares.cancel(queued) }
            return (ticket.permit, ticket.isDisplaced)
        }
        guard let permit else {
            // This request may have blocked others for which there are enough permits.
            handOver()
            throw isDisplaced ? .queueFull : .queueTimeout
        }
        return UpstreamPermit(self, permit)
    }

    private func enqueue(_ ticket: Ticket, _ share: inout PermitShare) -> ShareTicket? {
        var queued: ShareTicket?
        let displaced: Ticket? = state.withLock { state in
            switch state.shares.wait(for: 1, of: share.owner, &share.slot, ticket) {
            case .refused: return nil
            case .waits(let ticket, let displaced):
                queued = ticket
                displaced?.isDisplaced = true
                return displaced
            }
        }
        displaced?.waiter.wake()
        return queued
    }

    /// Acquires a permit if one is free for this owner and no request waits; `nil` if the caller has to wait.
    func tryAcquire(now: Instant, _ share: inout PermitShare) -> UpstreamPermit? {
        let isIn = state.withLock { state in
            state.retries.requestBegan(now: now)
            return state.shares.take(1, for: share.owner, &share.slot)
        }
        return isIn ? UpstreamPermit(self, share.slot) : nil
    }

    fileprivate func release(_ slot: ShareSlot) {
        let isAwaited = state.withLock { state in
            state.shares.give(1, of: slot)
            return state.shares.waiting > 0
        }
        if isAwaited { handOver() }
    }

    /// Hands free permits to the waiters whose turn it is.
    private func handOver() {
        while true {
            let next: Ticket? = state.withLock { state in
                guard let (ticket, slot) = state.shares.next() else { return nil }
                ticket.permit = slot
                return ticket
            }
            guard let next else { return }
            next.waiter.wake()
        }
    }

    /// Whether the retry budget allows one more retry. If so, counts the retry.
    func mayRetry(now: Instant) -> Bool { state.withLock { $0.retries.take(now: now) } }

    /// The number of requests in flight, and of waiting requests.
    var usage: (inFlight: Int, waiting: Int) { state.withLock { ($0.shares.inUse, $0.shares.waiting) } }

    /// The same numbers by organization.
    var shares: [ShareUsage] { state.withLock { $0.shares.usage } }
}
