/// Why a wait for a socket ended.
package enum Readiness: Equatable, Sendable {
    case ready
    case deadlinePassed
    /// The loop drains and this wait was one that need not go on.
    case interrupted
    /// The peer of another socket, for whom this one was waited for, has closed; or there was something to read at another
    /// socket.
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
    /// During a wait: the other socket whose events end it.
    private var other: SocketWatch?
    /// Whose wait ends with events of this socket, and with which. One at a time.
    private var dependent: SocketWatch?
    private var dependentEvents: ReadinessEvents = []

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

    /// Waits until there is something to read, or the peer's end of it.
    package func readable(before deadline: Instant, interruptible: Bool = false) async -> Readiness {
        await wait(for: .readable, before: deadline, interruptible: interruptible)
    }

    /// Waits until there is something to read, unless the peer of `client` closes, or has closed: there is nobody left
    /// then for whom to wait.
    package func readable(before deadline: Instant, unlessClosing client: SocketWatch) async -> Readiness {
        guard !client.isPeerClosing else { return .abandoned }
        return await wait(for: .readable, before: deadline, unless: client, has: .closing)
    }

    /// Waits until there is something to read here, unless there is at `other`.
    package func readable(before deadline: Instant, unlessReadable other: SocketWatch) async -> Readiness {
        guard edges.contains(.readable) || !other.isReadable else { return .abandoned }
        return await wait(for: .readable, before: deadline, unless: other, has: .readable)
    }

    package func writable(before deadline: Instant) async -> Readiness {
        await wait(for: .writable, before: deadline, interruptible: false)
    }

    /// Waits until something can be written or read, unless the peer of `client` closes, or has closed.
    package func ready(before deadline: Instant, unlessClosing client: SocketWatch?) async -> Readiness {
        let events: ReadinessEvents = [.readable, .writable]
        guard let client else { return await wait(for: events, before: deadline, interruptible: false) }
        guard !client.isPeerClosing else { return .abandoned }
        return await wait(for: events, before: deadline, unless: client, has: .closing)
    }

    private func wait(
        for events: ReadinessEvents, before deadline: Instant, unless other: SocketWatch, has ending: ReadinessEvents
    ) async -> Readiness {
        if edges.isDisjoint(with: events) {
            precondition(other !== self && other.dependent == nil, "one wait depends on a socket")
            self.other = other
            other.dependent = self
            other.dependentEvents = ending
        }
        return await wait(for: events, before: deadline, interruptible: false)
    }

    /// Waits for one of `events`.
    private func wait(for event: ReadinessEvents, before deadline: Instant, interruptible: Bool) async -> Readiness {
        if !edges.isDisjoint(with: event) {
            edges.remove(event)
            return .ready
        }
        precondition(!isWaiting, "one task waits for a socket")
        self.deadline = deadline
        loop.arm(self)
        wanted = event
        isInterruptible = interruptible
        // SAFETY: resumed exactly once, by `finish`, which clears it first; the watch outlives the wait because the
        // waiting task holds it.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    func occurred(_ events: ReadinessEvents) {
        edges.formUnion(events)
        if events.contains(.closing) {
            isPeerClosing = true
            edges.remove(.closing)
        }
        if !events.isDisjoint(with: dependentEvents) { dependent?.finish(.abandoned) }
        guard isWaiting, !edges.isDisjoint(with: wanted) else { return }
        edges.remove(wanted)
        finish(.ready)
    }

    func deadlinePassed() {
        if isWaiting { finish(.deadlinePassed) }
    }

    func interrupt() {
        if isWaiting, isInterruptible { finish(.interrupted) }
    }

    /// INVARIANT: `other` is set only while somebody waits, so the two watches hold each other no longer than that.
    private func finish(_ readiness: Readiness) {
        guard let waiter = unsafe waiter else { return }
        unsafe self.waiter = nil
        deadline = .distantFuture
        other?.dependent = nil
        other = nil
        unsafe waiter.resume(returning: readiness)
    }
}
