internal import Policy
internal import Synchronization
internal import Transport

/// One place among the requests under way to the upstream. Dropping it gives the place back, whichever way the request ends.
struct UpstreamPlace: ~Copyable {
    private let gate: UpstreamGate

    fileprivate init(_ gate: UpstreamGate) { self.gate = gate }

    deinit { gate.leave() }
}

/// The cap on requests under way to the upstream, with a short queue, shared by every worker.
final class UpstreamGate: Sendable {
    private struct State {
        var inUse = 0
        var queue: [Ticket] = []
        var retries: RetryBudget
    }

    /// One request that waits. It is handed a place under the gate's lock, or leaves the queue under it.
    ///
    /// `@unchecked Sendable`: `hasPlace` is touched under the lock, `parking` on its loop only.
    private final class Ticket: @unchecked Sendable {
        let loop: EventLoop
        let parking: Parking
        var hasPlace = false

        init(loop: EventLoop) {
            self.loop = loop
            parking = Parking(loop: loop)
        }

        /// From any thread.
        func wake() {
            if loop.isOnLoop { parking.wake() } else { loop.perform { self.parking.wake() } }
        }
    }

    private let places: Int
    private let seats: Int
    private let state: Mutex<State>

    init(_ settings: UpstreamSettings) {
        places = settings.connections.inFlight
        seats = settings.connections.queue
        state = Mutex(State(retries: RetryBudget(settings.retries)))
    }

    /// Takes a place, waiting for one until `deadline` behind those who wait already.
    func enter(on loop: EventLoop, before deadline: Instant) async throws(UpstreamFailure) -> UpstreamPlace {
        if let place = enterAtOnce(now: loop.now) { return place }
        return try await wait(on: loop, before: deadline)
    }

    /// Waits for a place until `deadline`. For who was not let in at once.
    func wait(on loop: EventLoop, before deadline: Instant) async throws(UpstreamFailure) -> UpstreamPlace {
        let ticket = Ticket(loop: loop)
        let isSeated = state.withLock { state in
            guard state.queue.count < seats else { return false }
            state.queue.append(ticket)
            return true
        }
        guard isSeated else { throw .queueFull }
        // A place may have become free between the two locks.
        handOver()
        _ = await ticket.parking.wait(before: deadline)
        let hasPlace = state.withLock { state in
            if !ticket.hasPlace { state.queue.removeAll { $0 === ticket } }
            return ticket.hasPlace
        }
        guard hasPlace else { throw .queueTimeout }
        return UpstreamPlace(self)
    }

    /// Takes a place if one is free and nobody has waited longer; `nil` where the caller has to wait.
    func enterAtOnce(now: Instant) -> UpstreamPlace? {
        let isIn = state.withLock { state in
            state.retries.requestBegan(now: now)
            guard state.inUse < places, state.queue.isEmpty else { return false }
            state.inUse += 1
            return true
        }
        return isIn ? UpstreamPlace(self) : nil
    }

    fileprivate func leave() {
        let isAwaited = state.withLock { state in
            state.inUse -= 1
            return !state.queue.isEmpty
        }
        if isAwaited { handOver() }
    }

    /// Gives free places to those who have waited longest.
    private func handOver() {
        while true {
            let next: Ticket? = state.withLock { state in
                guard state.inUse < places, !state.queue.isEmpty else { return nil }
                state.inUse += 1
                let ticket = state.queue.removeFirst()
                ticket.hasPlace = true
                return ticket
            }
            guard let next else { return }
            next.wake()
        }
    }

    /// Whether one more retry is within the budget; counts it if so.
    func mayRetry(now: Instant) -> Bool { state.withLock { $0.retries.take(now: now) } }

    /// Requests under way, and requests that wait.
    var usage: (inFlight: Int, waiting: Int) { state.withLock { ($0.inUse, $0.queue.count) } }
}
