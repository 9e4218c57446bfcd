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
@safe package final class SocketReadiness {
    /// Not counted: the loop holds its watches, and whoever waits for one runs on the loop.
    private unowned(unsafe) let loop: EventLoop
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
    private var other: SocketReadiness?
    /// Whose wait ends with events of this socket, and with which. One at a time.
    private var dependent: SocketReadiness?
    private var dependentEvents: ReadinessEvents = []

    /// What a client's connection does, for when there is no room for another one.
    enum Standing { case notAClients, silent, busy, idle, evicted }

    var standing = Standing.notAClients
    /// Whose connection it is, as ``ConnectionRoom`` counts them.
    var client: UInt64 = 0

    private(set) var deadline: Instant = .distantFuture
    /// The earliest tick at which the wheel will look at this watch; `.max` when it will not.
    var armedTick: UInt64 = .max

    init(loop: EventLoop, descriptor: Int32, generation: UInt32) {
        unsafe self.loop = loop
        self.descriptor = descriptor
        self.generation = generation
    }

    var isWaiting: Bool { unsafe waiter != nil }

    /// The poller has seen something to read that nobody has waited for.
    package var isReadable: Bool { edges.contains(.readable) }

    /// Somebody reads without waiting.
    func forgetReadable() { edges.remove(.readable) }

    /// Waits until there is something to read, or the peer's end of it, unless the peer of `client` closes, or has closed:
    /// there is nobody left then for whom to wait.
    package func readable(
        before deadline: Instant, interruptible: Bool = false, unlessClosing client: SocketReadiness? = nil
    ) async -> Readiness {
        if let client, client.isPeerClosing { return .abandoned }
        if takes(.readable) { return .ready }
        prepare(for: .readable, before: deadline, interruptible)
        if let client { depend(on: client, having: .closing) }
        // SAFETY: resumed exactly once, by `finish`, which clears it first; the watch outlives the wait because the
        // waiting task holds it.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    /// Waits until there is something to read here, unless there is at `other`.
    package func readable(before deadline: Instant, unlessReadable other: SocketReadiness) async -> Readiness {
        if takes(.readable) { return .ready }
        if other.isReadable { return .abandoned }
        prepare(for: .readable, before: deadline)
        depend(on: other, having: .readable)
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    package func writable(before deadline: Instant) async -> Readiness {
        if takes(.writable) { return .ready }
        prepare(for: .writable, before: deadline)
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    /// Waits until something can be written or read, unless the peer of `client` closes, or has closed.
    package func ready(before deadline: Instant, unlessClosing client: SocketReadiness?) async -> Readiness {
        if let client, client.isPeerClosing { return .abandoned }
        if takes([.readable, .writable]) { return .ready }
        prepare(for: [.readable, .writable], before: deadline)
        if let client { depend(on: client, having: .closing) }
        // SAFETY: as above.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    /// Whether one of `events` has been seen already; consumes them if so.
    private func takes(_ events: ReadinessEvents) -> Bool {
        guard !edges.isDisjoint(with: events) else { return false }
        edges.remove(events)
        return true
    }

    private func prepare(for events: ReadinessEvents, before deadline: Instant, _ interruptible: Bool = false) {
        precondition(!isWaiting, "one task waits for a socket")
        self.deadline = deadline
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

    /// What a connection that can go waits for. Those of the first case go first.
    enum Idleness: Int {
        /// Its first request, of which a part may have come.
        case silent
        case idle
        /// The rest of a later request's head, or of a body that nobody wants.
        case unfinished
    }

    /// `nil` for a connection that cannot go: an answer is due, or on its way.
    var idleness: Idleness? {
        guard isWaiting else { return nil }
        return switch standing {
        case .silent: .silent
        case .idle where isInterruptible: .idle
        case .idle where wanted == .readable: .unfinished
        case .idle, .notAClients, .busy, .evicted: nil
        }
    }

    /// Ends the wait of a connection that can go.
    func evict() {
        standing = .evicted
        finish(.interrupted)
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
