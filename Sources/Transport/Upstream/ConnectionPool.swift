/// The unused connections of one loop to one endpoint, the one used last on top: those below it age and go.
package final class ConnectionPool {
    private var idle: [UpstreamConnection] = []
    private let limit: Int
    private let idleTime: Timeout

    /// Keeps at most `limit` connections, none of them unused for longer than `idleTime`.
    package init(limit: Int, idleTime: Duration) {
        self.limit = limit
        self.idleTime = Timeout(idleTime)
    }

    /// How many are kept.
    package var count: Int { idle.count }

    /// A connection that was good a moment ago; `nil` where a new one is needed.
    package func take(now: Instant) -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.idleSince + idleTime > now, connection.isStillGood() { return connection }
        }
        return nil
    }

    /// Keeps a connection for the next request, if it is good for one.
    package func give(_ connection: UpstreamConnection) {
        guard connection.exchangeFinished(), idle.count < limit else { return }
        connection.rest()
        idle.append(connection)
    }

    /// Closes connections that have been unused for too long or have been closed by the peer.
    package func sweep(now: Instant) {
        idle.removeAll { $0.idleSince + idleTime <= now || !$0.isStillGood() }
    }
}
