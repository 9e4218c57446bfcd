/// Why a wait for a socket ended.
package enum Readiness: Equatable, Sendable {
    case ready
    case deadlinePassed
    /// The loop drains and this wait was one that need not go on.
    case interrupted
    /// The peer of another socket, for whom this one was waited for, has closed.
    case abandoned
}

/// One socket's readiness, and the one task that may wait for it. Belongs to its loop's thread.
@safe package final class SocketWatch {
    private unowned let loop: EventLoop
    package let descriptor: Int32
    let generation: UInt32

    /// Edges not yet consumed. A new socket is tried before it is waited for.
    private var edges: ReadinessEvents = []
    /// The peer has closed its side; stays set.
    package private(set) var isPeerClosing = false
    private var waiter: UnsafeContinuation<Readiness, Never>?
    private var wanted: ReadinessEvents = []
    private var isInterruptible = false
    /// During a wait: whose closing ends it.
    private var client: SocketWatch?
    /// Whose wait ends when this socket's peer closes. One at a time.
    private var dependent: SocketWatch?

    private(set) var deadline: Instant = .distantFuture
    /// The earliest tick at which the wheel will look at this watch; `.max` when it will not.
    var armedTick: UInt64 = .max

    init(loop: EventLoop, descriptor: Int32, generation: UInt32) {
        self.loop = loop
        self.descriptor = descriptor
        self.generation = generation
    }

    var isWaiting: Bool { unsafe waiter != nil }

    /// The poller has seen something to read that nobody has waited for.
    var isReadable: Bool { edges.contains(.readable) }

    /// Somebody reads without waiting.
    func forgetReadable() { edges.remove(.readable) }

    /// Waits until there is something to read, or the peer's end of it, unless the peer of `client` closes, or has closed:
    /// there is nobody left then for whom to wait.
    package func readable(
        before deadline: Instant, interruptible: Bool = false, unlessClosing client: SocketWatch? = nil
    ) async -> Readiness {
        if let client, client.isPeerClosing { return .abandoned }
        if edges.contains(.readable) {
            edges.remove(.readable)
            return .ready
        }
        prepare(for: .readable, before: deadline, interruptible)
        if let client {
            precondition(client !== self && client.dependent == nil, "one wait depends on a socket")
            self.client = client
            client.dependent = self
        }
        // SAFETY: resumed exactly once, by `finish`, which clears it first; the watch outlives the wait because the
        // waiting task holds it.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    package func writable(before deadline: Instant) async -> Readiness {
        if edges.contains(.writable) {
            edges.remove(.writable)
            return .ready
        }
        prepare(for: .writable, before: deadline, false)
        // SAFETY: as for reading.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    private func prepare(for event: ReadinessEvents, before deadline: Instant, _ interruptible: Bool) {
        precondition(!isWaiting, "one task waits for a socket")
        self.deadline = deadline
        loop.arm(self)
        wanted = event
        isInterruptible = interruptible
    }

    func occurred(_ events: ReadinessEvents) {
        edges.formUnion(events)
        if events.contains(.closing) {
            isPeerClosing = true
            edges.remove(.closing)
            dependent?.finish(.abandoned)
        }
        guard isWaiting, edges.contains(wanted) else { return }
        edges.remove(wanted)
        finish(.ready)
    }

    func deadlinePassed() {
        if isWaiting { finish(.deadlinePassed) }
    }

    func interrupt() {
        if isWaiting, isInterruptible { finish(.interrupted) }
    }

    /// INVARIANT: `client` is set only while somebody waits, so the two watches hold each other no longer than that.
    private func finish(_ readiness: Readiness) {
        guard let waiter = unsafe waiter else { return }
        unsafe self.waiter = nil
        deadline = .distantFuture
        client?.dependent = nil
        client = nil
        unsafe waiter.resume(returning: readiness)
    }
}
