internal import HTTP
internal import Transport

extension Pipeline {
    /// Serves one connection from handshake to close.
    func serve(_ connection: inout ServerConnection) async {
        counts.add(to: .connectionsOpened)
        defer { counts.add(to: .connectionsClosed) }
        switch await connection.handshake() {
        case .done: counts.add(to: connection.isResumed ? .handshakesResumed : .handshakesFull)
        case .plainText:
            connection.sendPlainText(responseToPlainText())
            return await connection.closeGracefully()
        case .failed, .timedOut: return counts.add(to: .handshakesFailed)
        }
        var cache = ConnectionCache()
        while true {
            switch await connection.nextRequest() {
            case .request: if !tryHandle(&connection, &cache) { await handle(&connection, &cache) }
            case .malformed(let error): await refuse(&connection, Failure(.head(error), at: .head))
            case .timedOut: await refuse(&connection, Failure(.headTimeout, at: .head))
            case .closed: return
            }
            switch connection.responseFinished(isStopping: drain.isClosing) {
            case .readNextRequest: continue
            case .closeGracefully: return await connection.closeGracefully()
            case .abort: return
            }
        }
    }
    /// What somebody gets who speaks plain HTTP on the TLS port: the envelope, and no hint whether a token was good.
    func responseToPlainText() -> [UInt8] {
        let exchange = Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
        let response = ErrorResponse(.failure(Failure(.plainHTTP, at: .connect))).rendered(for: exchange, clock)
        var bytes: [UInt8] = []
        HTTP1Head.append(response, for: exchange, .close, heads, to: &bytes)
        return bytes + response.body
    }
}
