package import Crypto
package import HTTP

/// A bound socket of one loop, with what its connections share. It belongs to its loop's thread.
package final class Listener {
    /// The settings for new connections. A connection keeps those that it began with.
    package struct Settings: Sendable {
        package var timeouts: ServerTimeouts
        package var headLimits: HeadLimits
        /// The maximum for this listener alone. A connection beyond it is closed at once.
        package var maximumConnections: Int
        /// The response to the last request announces the close of the connection.
        package var maximumRequestsPerConnection: Int
        /// A connection of this age is closed after its current request. With `nil` it may have any age.
        package var maximumAge: Duration?

        package init(
            timeouts: ServerTimeouts = .init(), headLimits: HeadLimits = .init(), maximumConnections: Int = 50_000,
            maximumRequestsPerConnection: Int = .max, maximumAge: Duration? = nil
        ) {
            self.timeouts = timeouts
            self.headLimits = headLimits
            self.maximumConnections = maximumConnections
            self.maximumRequestsPerConnection = maximumRequestsPerConnection
            self.maximumAge = maximumAge
        }
    }

    private let loop: EventLoop
    /// This is `nil` once nothing more is accepted.
    private var socket: Socket?
    private let watch: SocketReadiness
    private var isAccepting = true
    /// The number of this listener's open connections.
    package private(set) var connections = 0

    /// Both are read at each accept, so that a new policy or certificate reaches new connections at once.
    package var settings: () -> Settings
    package var context: () -> TLSContext?

    /// Limits the connections of all listeners that share it. With `nil` only this listener's own settings limit them.
    private let limiter: ConnectionLimiter?
    /// Called when the limit is reached. Then another connection was closed, or the new one.
    package var limitReached: (_ evicted: Bool) -> Void = { _ in }

    /// Throws if the socket cannot be watched. `context` returns `nil` for plain HTTP.
    package init(
        loop: EventLoop, socket: consuming Socket, limiter: ConnectionLimiter? = nil,
        settings: @escaping () -> Settings,
        context: @escaping () -> TLSContext?
    ) throws(SystemError) {
        self.loop = loop
        self.limiter = limiter
        limiter?.add(loop)
        watch = try loop.watch(socket.descriptor)
        self.socket = consume socket
        self.settings = settings
        self.context = context
    }

    /// After so many accepted connections, others have their turn.
    private static let maxAccepted = 64
    /// No more is accepted while so many handshakes wait for their turn, because each takes a descriptor. Connections that are
    /// busy do not count, so they do not keep new ones out.
    private static let maxWaiting = 1000

    /// Accepts until `stopAccepting`. For each connection `makeServer` is asked for a server, which answers on this loop.
    package func accept(_ makeServer: @escaping () -> any ConnectionHandler) async {
        while isAccepting {
            var taken = 0
            var isWaiting = false
            while taken < Listener.maxAccepted, loop.waitingHandshakes < Listener.maxWaiting {
                guard case .socket(let descriptor) = acceptConnection(on: watch.descriptor) else {
                    isWaiting = true
                    break
                }
                taken += 1
                // An evicted connection is closed before many more are accepted: its descriptor is in use until then.
                if begin(descriptor, makeServer) == .evicted { taken += 7 }
            }
            if isWaiting {
                // With no descriptors left, nothing was accepted although somebody waits. So look again a little later.
                _ = await watch.readable(before: loop.now + .milliseconds(500), interruptible: true)
            } else {
                await Task.yield()
            }
        }
        // A client that has connected already is served. One that comes later is refused, and does not wait in vain.
        while case .socket(let descriptor) = acceptConnection(on: watch.descriptor) {
            _ = begin(descriptor, makeServer)
        }
        loop.unwatch(watch)
        socket = nil
    }

    /// Ends `accept`, which closes the socket.
    package func stopAccepting() {
        isAccepting = false
        watch.interrupt()
    }

    private enum Admission {
        case admitted, evicted, shed
        /// None of this loop's connections can be closed, but perhaps one of another loop.
        case evictsElsewhere
    }

    private func admission(of client: UInt64) -> Admission {
        guard connections < settings().maximumConnections else { return .shed }
        guard let limiter, !limiter.tryAcquire(for: client) else { return .admitted }
        if loop.evict(for: client, by: limiter) {
            limitReached(true)
            return .evicted
        }
        if limiter.tryBeginEvictionElsewhere(for: client) { return .evictsElsewhere }
        limitReached(false)
        return .shed
    }

    /// Asks the other loops to close a connection in favour of this client. Returns whether one did, or a place is free by now.
    private func evictElsewhere(for client: UInt64, by limiter: ConnectionLimiter) async -> Bool {
        defer { limiter.endEvictionElsewhere() }
        for other in limiter.loops where other !== loop {
            let isFound = await Task(executorPreference: other) { other.evict(for: client, by: limiter) }.value
            if isFound { return true }
        }
        return limiter.tryAcquire(for: client)
    }

    private func begin(_ descriptor: Int32, _ makeServer: @escaping () -> any ConnectionHandler) -> Admission {
        let client = limiter == nil ? 0 : peerNumber(of: descriptor)
        let admission = admission(of: client)
        guard admission != .shed else {
            _ = Socket(owning: descriptor)
            return .shed
        }
        connections += 1
        // SAFETY: the task runs on this loop, on whose thread the listener and `makeServer` live and are used; nothing of
        // it is touched by another thread.
        nonisolated(unsafe) let listener = self
        nonisolated(unsafe) let makeServer = makeServer
        Task(executorPreference: loop) {
            let listener = unsafe listener
            if admission == .evictsElsewhere, !(await listener.awaitPlace(descriptor, client)) { return }
            await listener.open(descriptor, client, unsafe makeServer)?.work()
        }
        return admission
    }

    /// Looks for a place for a new connection on the other loops. If there is none, ends the connection and returns `false`.
    private func awaitPlace(_ descriptor: Int32, _ client: UInt64) async -> Bool {
        guard let limiter else { return true }
        let isFound = await evictElsewhere(for: client, by: limiter)
        limitReached(isFound)
        if isFound { return true }
        connections -= 1
        _ = Socket(owning: descriptor)
        return false
    }

    /// Returns `nil` if the connection cannot be set up: the peer has gone, or there is no memory for it.
    private func open(
        _ descriptor: Int32, _ client: UInt64, _ makeServer: () -> any ConnectionHandler
    ) -> RequestLoop? {
        do {
            let connection = try ServerConnection(
                loop: loop, socket: descriptor, context: context(), settings: settings(),
                client: limiter == nil ? nil : client)
            return RequestLoop(connection, makeServer(), of: self)
        } catch {
            connectionEnded(client, isEvicted: false)
            return nil
        }
    }

    /// Takes back the place of a connection. That of an evicted connection is another one's already.
    func connectionEnded(_ client: UInt64, isEvicted: Bool) {
        connections -= 1
        if !isEvicted { limiter?.release(client) }
    }
}
