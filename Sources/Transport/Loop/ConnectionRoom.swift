internal import Synchronization

/// The places for connections that several listeners share. It knows how many places each client has.
///
/// A client is an address, or the network of an IPv6 address, because nothing else is known of it yet. It may hold up to seven
/// times the free places. So one alone can have seven eighths of the room. However many clients take all that they can, some
/// places are left for the next one. A client that gets no free place may get that of a connection with nothing under way. That
/// connection is one of its own, or one of a client that has more.
///
/// This does not use ``FairShares``, as requests do. Here a place can be taken back, so nobody waits for one. And there may be as
/// many clients as connections, so the rule does not look at the other clients.
package final class ConnectionRoom: Sendable {
    private struct State {
        var limit: Int
        var open = 0
        /// This has only the clients with a connection.
        var counts: [UInt64: Int] = [:]
        /// The number of newcomers for whom other loops are being asked to end a connection.
        var asking = 0
        var loops: [EventLoop] = []

        mutating func add(_ client: UInt64) {
            open += 1
            counts[client, default: 0] += 1
        }

        mutating func remove(_ client: UInt64) {
            open -= 1
            let left = (counts[client] ?? 0) - 1
            counts[client] = left > 0 ? left : nil
        }
    }

    private let state: Mutex<State>

    package init(limit: Int) { state = Mutex(State(limit: limit)) }

    package var limit: Int {
        get { state.withLock { $0.limit } }
        set { state.withLock { $0.limit = newValue } }
    }

    package var open: Int { state.withLock { $0.open } }

    /// Takes a place if there is one for this client. Returns whether there was.
    func admits(_ client: UInt64) -> Bool {
        state.withLock { state in
            guard state.counts[client] ?? 0 < 7 * (state.limit - state.open) else { return false }
            state.add(client)
            return true
        }
    }

    /// Gives the place of one client's connection to another client, unless that one has more already. Returns whether it did.
    func gives(placeOf victim: UInt64, to client: UInt64) -> Bool {
        state.withLock { state in
            guard victim == client || (state.counts[victim] ?? 0) > (state.counts[client] ?? 0) else { return false }
            state.remove(victim)
            state.add(client)
            return true
        }
    }

    func leave(_ client: UInt64) { state.withLock { $0.remove(client) } }

    /// The number of connections that each client has, and the number that is a client's share.
    func usage() -> (counts: [UInt64: Int], share: Int) {
        state.withLock { ($0.counts, $0.limit / max(1, $0.counts.count)) }
    }

    /// The loops whose connections share the room.
    var loops: [EventLoop] { state.withLock { $0.loops } }

    func join(_ loop: EventLoop) {
        state.withLock { state in
            if !state.loops.contains(where: { $0 === loop }) { state.loops.append(loop) }
        }
    }

    /// So many newcomers may be open beyond the limit while other loops are asked to end a connection for them.
    package static let maxAsking = 16

    /// Whether to ask the other loops to end a connection for a new one of this client. That is not done if the client has its
    /// share, and only for a few newcomers at once. This newcomer counts as one of them until ``endsAsking()``.
    func beginsAsking(for client: UInt64) -> Bool {
        state.withLock { state in
            let own = state.counts[client] ?? 0
            let clients = state.counts.count + (own == 0 ? 1 : 0)
            guard state.loops.count > 1, state.asking < ConnectionRoom.maxAsking,
                own < max(1, state.limit / clients)
            else { return false }
            state.asking += 1
            return true
        }
    }

    func endsAsking() { state.withLock { $0.asking -= 1 } }
}

/// The connections of one loop that can go. The first to go is at the end of the array. One look at all connections finds
/// several, which are then used up one by one.
struct Evictable {
    private var watches: [SocketReadiness] = []
    /// No new look before this time.
    private var nextLook: Instant?

    private static let most = 64

    /// Ends one connection in favour of `client`, which gets its place. Returns `false` if none can go.
    mutating func evict(from loop: EventLoop, for client: UInt64, in room: ConnectionRoom) -> Bool {
        for isSecondTry in [false, true] {
            if isSecondTry {
                if let nextLook, loop.now < nextLook { return false }
                watches = Evictable.find(on: loop, room)
                nextLook = loop.now + .milliseconds(10)
            }
            while let watch = watches.popLast() {
                guard watch.idleness != nil, room.gives(placeOf: watch.client, to: client) else { continue }
                watch.evict()
                return true
            }
        }
        return false
    }

    private static func find(on loop: EventLoop, _ room: ConnectionRoom) -> [SocketReadiness] {
        let (counts, share) = room.usage()
        let ranked = loop.watchesThatCanGo().map { watch in
            let since = watch.idleness == .silent ? UInt64(watch.generation) : watch.deadline.nanoseconds
            return (
                Rank(watch.idleness ?? .unfinished, of: counts[watch.client] ?? 0, share: share, since: since), watch
            )
        }
        return ranked.sorted { $0.0 < $1.0 }.prefix(most).reversed().map(\.1)
    }

    /// The order in which connections go. Those of clients beyond their share go first. Among those, a connection that has not
    /// sent a request goes before an idle one, and that before an unfinished one. Then those of the client that has most go
    /// first, and then those that have been in that state longest.
    struct Rank: Comparable {
        private let key: (Int, Int, Int, UInt64)

        init(_ idleness: SocketReadiness.Idleness, of count: Int, share: Int, since: UInt64) {
            key = (count > share ? 0 : 1, idleness.rawValue, -count, since)
        }

        static func < (one: Rank, other: Rank) -> Bool { one.key < other.key }

        static func == (one: Rank, other: Rank) -> Bool { one.key == other.key }
    }
}
