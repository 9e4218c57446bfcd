package import Crypto
package import HTTP

/// A bound socket of one loop and what its connections share. Lives on its loop.
package final class Listener {
    package struct Settings: Sendable {
        package var timeouts: ServerTimeouts
        package var headLimits: HeadLimits
        package var maximumConnections: Int
        package var maximumRequestsPerConnection: Int
        /// The age at which a connection is closed after its current request; `nil`: any.
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
    /// `nil` once nothing more is accepted.
    private var socket: Socket?
    private let watch: SocketReadiness
    private var isAccepting = true
    /// Open connections of this listener.
    package private(set) var connections = 0

    /// Read at each accept, so that a new certificate or policy reaches new connections at once.
    package var settings: () -> Settings
    package var context: () -> TLSContext?

    /// What it shares with other listeners; `nil`: nothing.
    private let room: ConnectionRoom?
    /// There was no room: another connection was ended, or the new one.
    package var ranShort: (_ evicted: Bool) -> Void = { _ in }

    package init(
        loop: EventLoop, socket: consuming Socket, room: ConnectionRoom? = nil, settings: @escaping () -> Settings,
        context: @escaping () -> TLSContext?
    ) throws(SystemError) {
        self.loop = loop
        self.room = room
        room?.join(loop)
        watch = try loop.watch(socket.descriptor)
        self.socket = consume socket
        self.settings = settings
        self.context = context
    }

    /// Connections that are accepted before others have their turn.
    private static let maxAccepted = 64
    /// Handshakes that may wait for their turn while more connections are accepted: each takes a descriptor. Whoever keeps many
    /// other connections busy does not keep new ones out.
    private static let maxWaiting = 1000

    /// Accepts until `stopAccepting`, and gives each connection to `serve` in a task of its own on this loop.
    package func accept(serve: @escaping (inout ServerConnection) async -> Void) async {
        while isAccepting {
            var taken = 0
            var isWaiting = false
            while taken < Listener.maxAccepted, loop.waitingHandshakes < Listener.maxWaiting {
                guard case .socket(let descriptor) = acceptConnection(on: watch.descriptor) else {
                    isWaiting = true
                    break
                }
                taken += 1
                // What was evicted is closed before many more are accepted: its descriptor is in use until then.
                if begin(descriptor, serve) == .evicted { taken += 7 }
            }
            if isWaiting {
                // With no descriptors left nothing was accepted although somebody waits: look again a little later.
                _ = await watch.readable(before: loop.now + .milliseconds(500), interruptible: true)
            } else {
                await Task.yield()
            }
        }
        // Who has connected already is served; who comes from now on is refused, and not left waiting for an answer.
        while case .socket(let descriptor) = acceptConnection(on: watch.descriptor) { _ = begin(descriptor, serve) }
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
        /// None of this loop's connections can go, but one of another loop may.
        case asks
    }

    private func admission(of client: UInt64) -> Admission {
        guard connections < settings().maximumConnections else { return .shed }
        guard let room, !room.admits(client) else { return .admitted }
        if loop.evict(for: client, in: room) {
            ranShort(true)
            return .evicted
        }
        if room.beginsAsking(for: client) { return .asks }
        ranShort(false)
        return .shed
    }

    /// Whether another loop ends a connection in favour of this client, or a place is free by now.
    private func findsRoomElsewhere(for client: UInt64, in room: ConnectionRoom) async -> Bool {
        defer { room.endsAsking() }
        for other in room.loops where other !== loop {
            let isFound = await Task(executorPreference: other) { other.evict(for: client, in: room) }.value
            if isFound { return true }
        }
        return room.admits(client)
    }

    private func begin(
        _ descriptor: Int32, _ serve: @escaping (inout ServerConnection) async -> Void
    ) -> Admission {
        let client = room == nil ? 0 : peerNumber(of: descriptor)
        let admission = admission(of: client)
        guard admission != .shed else {
            _ = Socket(owning: descriptor)
            return .shed
        }
        connections += 1
        // SAFETY: the task runs on this loop, on whose thread the listener and `serve` live and are used; nothing of
        // it is touched by another thread.
        nonisolated(unsafe) let listener = self
        nonisolated(unsafe) let serve = serve
        Task(executorPreference: loop) {
            let listener = unsafe listener
            if admission == .asks, !(await listener.waitsForRoom(descriptor, client)) { return }
            await listener.run(descriptor, client, unsafe serve)
        }
        return admission
    }

    /// Looks for a place for a new connection on the other loops. If there is none, ends the connection and returns `false`.
    private func waitsForRoom(_ descriptor: Int32, _ client: UInt64) async -> Bool {
        guard let room else { return true }
        let isFound = await findsRoomElsewhere(for: client, in: room)
        ranShort(isFound)
        if isFound { return true }
        connections -= 1
        _ = Socket(owning: descriptor)
        return false
    }

    private func run(_ descriptor: Int32, _ client: UInt64, _ serve: (inout ServerConnection) async -> Void) async {
        var isEvicted = false
        defer {
            connections -= 1
            // Its place is another one's already.
            if !isEvicted { room?.leave(client) }
        }
        // No optional in between: the frame lives as long as the connection, and would have room for two.
        do {
            var connection = try ServerConnection(
                loop: loop, socket: descriptor, context: context(), settings: settings(),
                client: room == nil ? nil : client)
            await serve(&connection)
            isEvicted = connection.watch.standing == .evicted
        } catch {
            // A connection that cannot be set up is over: the peer has gone, or there is no memory for it.
        }
    }
}
