/// The reason why a wait for a socket ended.
package enum Readiness: Equatable, Sendable {
    case ready
    case deadlinePassed
    /// The loop drains, or the connection was evicted, and this wait need not go on.
    case interrupted
    /// The peer of another socket, on whose behalf this one was waited for, has closed. Or there was something to read at
    /// another socket.
    case abandoned
}

/// The readiness of one socket. One task at a time may wait for it, or one waiter without a task. Belongs to its loop's thread.
@safe package final class SocketReadiness {
    /// This reference is not counted: the loop holds its watches, and whoever waits for one runs on the loop.
    private unowned(unsafe) let loop: EventLoop
    /// The watched socket. The watch does not close it.
    package let descriptor: Int32
    let generation: UInt32

    /// The edges that were not consumed yet. A new socket is tried before it is waited for.
    private var edges: ReadinessEvents = []
    /// The peer has closed its side. This stays set.
    package private(set) var isPeerClosing = false
    private var task: UnsafeContinuation<Readiness, Never>?
    /// INVARIANT: `task` and `waiter` are not both set. A waiter and its watch hold each other only during the wait.
    private var waiter: (any LoopWaiter)?
    private var wanted: ReadinessEvents = []
    private var isInterruptible = false
    /// During a wait, this is the other socket whose events end it.
    private var other: SocketReadiness?
    /// The socket whose wait ends with events of this one, and those events. There is one at a time.
    private var dependent: SocketReadiness?
    private var dependentEvents: ReadinessEvents = []

    /// What a client's connection does. It decides which connection is closed when the limit is reached.
    enum Standing { case notAClients, silent, busy, idle, evicted }

    var standing = Standing.notAClients
    /// The client whose connection it is, as ``ConnectionLimiter`` counts them.
    var client: UInt64 = 0

    private(set) var deadline: Instant = .distantFuture
    /// The time at which an idle connection ends. It tells how long the connection has been idle; `deadline` may be sooner.
    private(set) var idleEnd: Instant = .distantFuture
    /// The earliest tick at which the wheel looks at this watch. This is `.max` if it does not.
    var armedTick: UInt64 = .max

    init(loop: EventLoop, descriptor: Int32, generation: UInt32) {
        unsafe self.loop = loop
        self.descriptor = descriptor
        self.generation = generation
    }

    var isWaiting: Bool { unsafe waiter != nil || task != nil }

    /// The wait that is under way has no task.
    var isParked: Bool { waiter != nil }

    /// The poller has seen something to read, and nobody has waited for it.
    package var isReadable: Bool { edges.contains(.readable) }

    /// Call this where somebody reads without waiting.
    func forgetReadable() { edges.remove(.readable) }

    /// Waits until there is something to read, or the peer has closed. The wait also ends if the peer of `client` closes, or has
    /// closed: then nobody is left for whom to wait.
    package func readable(
        before deadline: Instant, interruptible: Bool = false, unlessClosing client: SocketReadiness? = nil
    ) async -> Readiness {
        if let client, client.isPeerClosing { return .abandoned }
        if takes(.readable) { return .ready }
        prepare(for: .readable, before: deadline, interruptible)
        if let client { depend(on: client, having: .closing) }
        // SAFETY: resumed exactly once, by `finish`, which clears it first; the watch outlives the wait because the
        // waiting task holds it.
        return unsafe await withUnsafeContinuation { unsafe task = $0 }
    }

    /// Waits until there is something to read here, unless there is at `other`.
    package func readable(before deadline: Instant, unlessReadable other: SocketReadiness) async -> Readiness {
        if takes(.readable) { return .ready }
        if other.isReadable { return .abandoned }
        prepare(for: .readable, before: deadline)
        depend(on: other, having: .readable)
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe task = $0 }
    }

    /// Waits until something can be written. Returns at once if an edge was seen that no wait has consumed.
    package func writable(before deadline: Instant) async -> Readiness {
        if takes(.writable) { return .ready }
        prepare(for: .writable, before: deadline)
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe task = $0 }
    }

    /// Waits until something can be written or read, unless the peer of `client` closes, or has closed.
    package func ready(before deadline: Instant, unlessClosing client: SocketReadiness?) async -> Readiness {
        if let client, client.isPeerClosing { return .abandoned }
        if takes([.readable, .writable]) { return .ready }
        prepare(for: [.readable, .writable], before: deadline)
        if let client { depend(on: client, having: .closing) }
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe task = $0 }
    }

    /// Waits without a task until one of `events` is seen, or `deadline` passes. If it has been seen already, does not wait, and returns `false`.
    func park(
        _ waiter: any LoopWaiter, for events: ReadinessEvents, before deadline: Instant, idleUntil end: Instant,
        interruptible: Bool
    ) -> Bool {
        if takes(events) { return false }
        prepare(for: events, before: deadline, interruptible)
        idleEnd = end
        self.waiter = waiter
        return true
    }

    /// Ends a wait without a task, and does not tell the waiter: its loop has ended.
    func dropWaiter() { waiter = nil }

    /// Whether one of `events` has been seen already; consumes them if so.
    private func takes(_ events: ReadinessEvents) -> Bool {
        guard !edges.isDisjoint(with: events) else { return false }
        edges.remove(events)
        return true
    }

    private func prepare(for events: ReadinessEvents, before deadline: Instant, _ interruptible: Bool = false) {
        precondition(!isWaiting, "one wait at a time is for a socket")
        self.deadline = deadline
        idleEnd = deadline
        // SAFETY: see `loop`.
        unsafe loop.arm(self)
        wanted = events
        isInterruptible = interruptible
    }

    private func depend(on other: SocketReadiness, having events: ReadinessEvents) {
        precondition(other !== self && other.dependent == nil, "one wait depends on a socket")
        self.other = other
        other.dependent = self
        other.dependentEvents = events
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

    /// What a connection that can be closed for others waits for. Those of the first case are closed first.
    enum Idleness: Int {
        /// It waits for its first request, of which a part may have come.
        case silent
        case idle
        /// It waits for the rest of a later request's head, or of a body that nobody wants.
        case unfinished
    }

    /// This is `nil` for a connection that cannot go, because a response is due, or on its way.
    var idleness: Idleness? {
        guard isWaiting else { return nil }
        return switch standing {
        case .silent: .silent
        case .idle where isInterruptible: .idle
        case .idle where wanted == .readable: .unfinished
        case .idle, .notAClients, .busy, .evicted: nil
        }
    }

    /// Ends a connection that can go.
    func evict() {
        standing = .evicted
        finish(.interrupted)
    }

    /// INVARIANT: `other` is set only while a task waits, so the two watches hold each other no longer than that.
    private func finish(_ readiness: Readiness) {
        if let waiter {
            self.waiter = nil
            deadline = .distantFuture
            // SAFETY: see `loop`.
            unsafe loop.wake(waiter, .socket(readiness))
        } else if let task = unsafe task {
            unsafe self.task = nil
            deadline = .distantFuture
            other?.dependent = nil
            other = nil
            unsafe task.resume(returning: readiness)
        }
    }
}
