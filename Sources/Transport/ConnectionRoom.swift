internal import Synchronization

/// How many connections may be open at once over all listeners that share it, and how many each client has.
///
/// A client is an address, or the network of an IPv6 address. One alone can have seven eighths of the room: what is left is
/// for clients that have less than their share.
package final class ConnectionRoom: Sendable {
    private struct State {
        var limit: Int
        var open = 0
        /// Only clients that have a connection.
        var counts: [UInt64: Int] = [:]

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
            let own = state.counts[client] ?? 0
            let clients = state.counts.count + (own == 0 ? 1 : 0)
            let isBelowItsShare = clients > 1 && own < max(1, state.limit / clients)
            guard state.open < (isBelowItsShare ? state.limit : state.limit - state.limit / 8) else { return false }
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
}

/// The connections of one loop that can go, the first last: found by one look at all of them, and used up one by one.
struct Evictable {
    private var watches: [SocketWatch] = []
    /// Nobody could go: not looked for again before.
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
                guard watch.canGo, room.gives(placeOf: watch.client, to: client) else { continue }
                watch.evict()
                return true
            }
        }
        return false
    }

    /// First of clients beyond their share; there those that have not sent a request; of clients with most; the longest.
    private static func find(on loop: EventLoop, _ room: ConnectionRoom) -> [SocketWatch] {
        let (counts, share) = room.usage()
        func rank(_ watch: SocketWatch) -> (Int, Int, Int, UInt64) {
            let count = counts[watch.client] ?? 0
            let isSilent = watch.standing == .silent
            return (
                count > share ? 0 : 1, isSilent ? 0 : 1, -count,
                isSilent ? UInt64(watch.generation) : UInt64(watch.deadline.nanoseconds)
            )
        }
        let ranked = loop.watchesThatCanGo().map { (rank($0), $0) }.sorted { $0.0 < $1.0 }
        return ranked.prefix(most).reversed().map(\.1)
    }
}
