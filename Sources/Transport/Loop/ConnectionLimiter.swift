internal import Synchronization

/// Limits the open connections of several listeners together. It counts the connections of each client.
///
/// A client is an address, or the network of an IPv6 address, because nothing else is known of it yet. It may hold up to seven
/// times the free places. So one alone can have seven eighths of the places. However many clients take all that they can, some
/// places are left for the next one. A client that gets no free place may get that of a connection with nothing under way. That
/// connection is one of its own, or one of a client that has more.
///
/// This does not use ``FairShares``, as requests do. Here a place can be taken back, so nobody waits for one. And there may be as
/// many clients as connections, so the rule does not look at the other clients.
package final class ConnectionLimiter: Sendable {
    private struct State {
        var limit: Int
        var open = 0
        /// This has only the clients with a connection.
        var counts: [UInt64: Int] = [:]
        /// The number of new connections for which other loops are being asked to close one.
        var evictionRequests = 0
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

    /// May be read and changed on any thread. A lower limit closes no connection that is open.
    package var limit: Int {
        get { state.withLock { $0.limit } }
        set { state.withLock { $0.limit = newValue } }
    }

    /// The number of open connections of all listeners. May be read on any thread.
    package var open: Int { state.withLock { $0.open } }

    /// Takes a place if there is one for this client. Returns whether there was.
    func tryAcquire(for client: UInt64) -> Bool {
        state.withLock { state in
            guard state.counts[client] ?? 0 < 7 * (state.limit - state.open) else { return false }
            state.add(client)
            return true
        }
    }

    /// Gives the place of one client's connection to another client, unless that one has more already. Returns whether it did.
    func tryTransfer(from victim: UInt64, to client: UInt64) -> Bool {
        state.withLock { state in
            guard victim == client || (state.counts[victim] ?? 0) > (state.counts[client] ?? 0) else { return false }
            state.remove(victim)
            state.add(client)
            return true
        }
    }

    func release(_ client: UInt64) { state.withLock { $0.remove(client) } }

    /// The number of connections that each client has, and the number that is a client's share.
    func usage() -> (counts: [UInt64: Int], share: Int) {
        state.withLock { ($0.counts, $0.limit / max(1, $0.counts.count)) }
    }

    /// The loops whose connections are limited together.
    var loops: [EventLoop] { state.withLock { $0.loops } }

    func add(_ loop: EventLoop) {
        state.withLock { state in
            if !state.loops.contains(where: { $0 === loop }) { state.loops.append(loop) }
        }
    }

    /// So many new connections may be open beyond the limit while other loops are asked to close one for each.
    package static let maxEvictionRequests = 16

    /// Whether to ask the other loops to close a connection for a new one of this client. That is not done if the client has its
    /// share, and only for a few new connections at once. This one counts as one of them until ``endEvictionElsewhere()``.
    func tryBeginEvictionElsewhere(for client: UInt64) -> Bool {
        state.withLock { state in
            let own = state.counts[client] ?? 0
            let clients = state.counts.count + (own == 0 ? 1 : 0)
            guard state.loops.count > 1, state.evictionRequests < ConnectionLimiter.maxEvictionRequests,
                own < max(1, state.limit / clients)
            else { return false }
            state.evictionRequests += 1
            return true
        }
    }

    func endEvictionElsewhere() { state.withLock { $0.evictionRequests -= 1 } }
}

/// The connections of one loop that can be closed for others. The first to close is at the end of the array. One search of all
/// connections finds several, which are then used up one by one.
struct EvictionCandidates {
    private var watches: [SocketReadiness] = []
    /// No new search before this time.
    private var nextSearch: Instant?

    private static let maxCandidates = 64

    /// Closes one connection in favour of `client`, which gets its place. Returns `false` if none can be closed.
    mutating func evict(from loop: EventLoop, for client: UInt64, by limiter: ConnectionLimiter) -> Bool {
        for isSecondTry in [false, true] {
            if isSecondTry {
                if let nextSearch, loop.now < nextSearch { return false }
                watches = EvictionCandidates.find(on: loop, limiter)
                nextSearch = loop.now + .milliseconds(10)
            }
            while let watch = watches.popLast() {
                guard watch.idleness != nil, limiter.tryTransfer(from: watch.client, to: client) else { continue }
                watch.evict()
                return true
            }
        }
        return false
    }

    private static func find(on loop: EventLoop, _ limiter: ConnectionLimiter) -> [SocketReadiness] {
        let (counts, share) = limiter.usage()
        let ranked = loop.evictableWatches().map { watch in
            let since = watch.idleness == .silent ? UInt64(watch.generation) : watch.idleEnd.nanoseconds
            return (
                Rank(watch.idleness ?? .unfinished, of: counts[watch.client] ?? 0, share: share, since: since), watch
            )
        }
        return ranked.sorted { $0.0 < $1.0 }.prefix(maxCandidates).reversed().map(\.1)
    }

    /// The order in which connections are closed. Those of clients beyond their share come first. Among those, a connection that
    /// has not sent a request comes before an idle one, and that before an unfinished one. Then those of the client that has most
    /// come first, and then those that have been in that state longest.
    struct Rank: Comparable {
        private let key: (Int, Int, Int, UInt64)

        init(_ idleness: SocketReadiness.Idleness, of count: Int, share: Int, since: UInt64) {
            key = (count > share ? 0 : 1, idleness.rawValue, -count, since)
        }

        static func < (one: Rank, other: Rank) -> Bool { one.key < other.key }

        static func == (one: Rank, other: Rank) -> Bool { one.key == other.key }
    }
}
