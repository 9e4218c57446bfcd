internal import Policy
internal import Synchronization
internal import Transport

/// One place among the requests under way to the upstream. Dropping it gives the place back, whichever way the request ends.
struct UpstreamPermit: ~Copyable {
    private let gate: ConcurrencyLimiter
    private let slot: ShareSlot

    fileprivate init(_ gate: ConcurrencyLimiter, _ slot: ShareSlot) {
        self.gate = gate
        self.slot = slot
    }

    deinit { gate.leave(slot) }
}

/// Whose share of the places requests count against, and where the gate found it last: the next request of a connection does
/// not search for it again.
struct PermitShare {
    var owner = ShareOwner(organization: 0, token: 0)
    fileprivate var slot = ShareSlot.unknown

    init() {}

    init(_ owner: ShareOwner) { self.owner = owner }
}

/// The cap on requests under way to the upstream, with a short queue, shared by every worker and divided fairly.
final class ConcurrencyLimiter: Sendable {
    private struct State {
        var shares: FairShares<Ticket>
        var retries: RetryBudget
    }

    /// One request that waits. It is handed a place under the gate's lock, or leaves the queue under it.
    ///
    /// `@unchecked Sendable`: `place` and `isDisplaced` are touched under the lock, `parking` on its loop only.
    private final class Ticket: @unchecked Sendable {
        let loop: EventLoop
        let parking: Parker
        /// Where its place counts.
        var place: ShareSlot?
        /// It had to leave the queue for one that has less of it.
        var isDisplaced = false

        init(loop: EventLoop) {
            self.loop = loop
            parking = Parker(loop: loop)
        }

        /// From any thread.
        func wake() {
            if loop.isOnLoop { parking.wake() } else { loop.perform { self.parking.wake() } }
        }
    }

    private let state: Mutex<State>

    init(_ settings: UpstreamSettings) {
        state = Mutex(
            State(
                shares: FairShares(capacity: settings.connections.inFlight, seats: settings.connections.queue),
                retries: RetryBudget(settings.retries)))
    }

    /// The gate of the gateway's own questions: however many requests of clients are under way, it can learn which jobs run.
    init(forQuestionsWith settings: UpstreamSettings) {
        state = Mutex(
            State(
                shares: FairShares(capacity: ConcurrencyLimiter.questions, seats: 8 * ConcurrencyLimiter.questions),
                retries: RetryBudget(settings.retries)))
    }

    /// How many questions may be under way at once, beside the requests of clients.
    static let questions = 32

    /// Takes a place, waiting for one until `deadline` behind those whose turn is before.
    func enter(
        on loop: EventLoop, before deadline: Instant, _ share: inout PermitShare
    ) async throws(UpstreamFailure) -> UpstreamPermit {
        if let place = enterAtOnce(now: loop.now, &share) { return place }
        return try await wait(on: loop, before: deadline, &share)
    }

    /// Waits for a place until `deadline`. For who was not let in at once.
    func wait(
        on loop: EventLoop, before deadline: Instant, _ share: inout PermitShare
    ) async throws(UpstreamFailure) -> UpstreamPermit {
        let ticket = Ticket(loop: loop)
        guard let seat = takeSeat(ticket, &share) else { throw .queueFull }
        // A place may have become free between the two locks.
        handOver()
        _ = await ticket.parking.wait(before: deadline)
        let (place, isDisplaced) = state.withLock { state in
            if ticket.place == nil, !ticket.isDisplaced { state.shares.leave(seat) }
            return (ticket.place, ticket.isDisplaced)
        }
        guard let place else {
            // It may have stood before others for whom there is enough.
            handOver()
            throw isDisplaced ? .queueFull : .queueTimeout
        }
        return UpstreamPermit(self, place)
    }

    private func takeSeat(_ ticket: Ticket, _ share: inout PermitShare) -> ShareTicket? {
        var seat: ShareTicket?
        let displaced: Ticket? = state.withLock { state in
            switch state.shares.wait(for: 1, of: share.owner, &share.slot, ticket) {
            case .refused: return nil
            case .waits(let ticket, let displaced):
                seat = ticket
                displaced?.isDisplaced = true
                return displaced
            }
        }
        displaced?.wake()
        return seat
    }

    /// Takes a place if one is free for this owner and nobody waits; `nil` where the caller has to wait.
    func enterAtOnce(now: Instant, _ share: inout PermitShare) -> UpstreamPermit? {
        let isIn = state.withLock { state in
            state.retries.requestBegan(now: now)
            return state.shares.take(1, for: share.owner, &share.slot)
        }
        return isIn ? UpstreamPermit(self, share.slot) : nil
    }

    fileprivate func leave(_ slot: ShareSlot) {
        let isAwaited = state.withLock { state in
            state.shares.give(1, of: slot)
            return state.shares.waiting > 0
        }
        if isAwaited { handOver() }
    }

    /// Gives free places to those whose turn it is.
    private func handOver() {
        while true {
            let next: Ticket? = state.withLock { state in
                guard let (ticket, slot) = state.shares.next() else { return nil }
                ticket.place = slot
                return ticket
            }
            guard let next else { return }
            next.wake()
        }
    }

    /// Whether one more retry is within the budget; counts it if so.
    func mayRetry(now: Instant) -> Bool { state.withLock { $0.retries.take(now: now) } }

    /// Requests under way, and requests that wait.
    var usage: (inFlight: Int, waiting: Int) { state.withLock { ($0.shares.inUse, $0.shares.waiting) } }

    /// The same by organization.
    var shares: [ShareUsage] { state.withLock { $0.shares.usage } }
}
