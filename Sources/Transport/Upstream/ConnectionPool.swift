/// The idle connections of one loop to one endpoint. The last used is taken first: surplus ones age and are closed.
package final class ConnectionPool {
    private var idle: [UpstreamConnection] = []
    private let limit: Int
    private let idleTime: Timeout

    /// Keeps at most `limit` connections, each idle for `idleTime` at most.
    package init(limit: Int, idleTime: Duration) {
        self.limit = limit
        self.idleTime = Timeout(idleTime)
    }

    /// The number of idle connections.
    package var count: Int { idle.count }

    /// An idle connection that still works; `nil` if a new one is needed.
    package func take(now: Instant) -> UpstreamConnection? {
        while let connection = idle.popLast() {
            if connection.idleSince + idleTime > now, connection.isStillGood() { return connection }
        }
        return nil
    }

    /// Keeps a connection for the next request if it can carry one.
    package func give(_ connection: UpstreamConnection) {
        guard connection.exchangeFinished(), idle.count < limit else { return }
        connection.rest()
        idle.append(connection)
    }

    /// Closes connections that have been idle for too long or that the peer has closed.
    package func sweep(now: Instant) {
        idle.removeAll { $0.idleSince + idleTime <= now || !$0.isStillGood() }
    }
}
