internal import Synchronization

/// How many connections may be open at once over all listeners that share it, and how many each client has.
///
/// A client is an address, or the network of an IPv6 address: who is behind it is not known yet. It may hold up to seven
/// times the free places. So one alone can have seven eighths of the room, and however many clients take all they can, some
/// places are left for the next one. A client that gets no free place may get that of a connection with nothing under way, if
/// it is its own, or another client's that has more.
///
/// Not ``FairShares``, as for requests: here a place can be taken back, so nobody waits for one. And there may be as many
/// clients as connections, so the rule has to do without a look at the other clients.
package final class ConnectionRoom: Sendable {
    private struct State {
        var limit: Int
        var open = 0
        /// Only clients that have a connection.
        var counts: [UInt64: Int] = [:]
        /// Newcomers for whom other loops are being asked to end a connection.
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

    /// Takes a place if there is one for this client.
    func admits(_ client: UInt64) -> Bool {
        state.withLock { state in
            guard state.counts[client] ?? 0 < 7 * (state.limit - state.open) else { return false }
            state.add(client)
            return true
        }
    }

    /// Gives the place of one client's connection to another client, unless that one has more already.
    func gives(placeOf victim: UInt64, to client: UInt64) -> Bool {
        state.withLock { state in
            guard victim == client || (state.counts[victim] ?? 0) > (state.counts[client] ?? 0) else { return false }
            state.remove(victim)
            state.add(client)
            return true
        }
    }

    func leave(_ client: UInt64) { state.withLock { $0.remove(client) } }

    /// How many connections each client has, and how many are its share.
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

    /// How many newcomers may be open beyond the limit while other loops are asked to end a connection for them.
    package static let maxAsking = 16

    /// Whether to ask the other loops to end a connection for a new one of this client: not if the client has its share, and
    /// only for a few newcomers at once. Counts as one of them until ``endsAsking()``.
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

/// The connections of one loop that can go, the first to go at the end of the array. One look at all connections finds
/// several; they are used up one by one.
struct Evictable {
    private var watches: [SocketReadiness] = []
    /// No new look before this time.
    private var nextLook: Instant?

    private static let most = 64

    /// Ends one connection in favour of `client`, whose place that is then.
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

    /// Which connection goes first: one of a client beyond its share; among those, one that has not sent a request, then an
    /// idle one, then an unfinished one; then one of the client that has most; then the one that has been in that state
    /// longest.
    struct Rank: Comparable {
        private let key: (Int, Int, Int, UInt64)

        init(_ idleness: SocketReadiness.Idleness, of count: Int, share: Int, since: UInt64) {
            key = (count > share ? 0 : 1, idleness.rawValue, -count, since)
        }

        static func < (one: Rank, other: Rank) -> Bool { one.key < other.key }

        static func == (one: Rank, other: Rank) -> Bool { one.key == other.key }
    }
}
