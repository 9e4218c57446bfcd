internal import HTTP
package import Transport

/// Serves one connection of HTTP/1.1: passes its requests to the pipeline, and keeps what they have in common.
final class HTTP1Server: ConnectionHandler {
    private let pipeline: Pipeline
    private var cache = ClientConnectionCache()

    init(_ pipeline: Pipeline) {
        self.pipeline = pipeline
        pipeline.counts.add(to: .connectionsOpened)
    }

    deinit { pipeline.counts.add(to: .connectionsClosed) }

    var isStopping: Bool { pipeline.drain.isClosing }

    func handshakeEnded(_ outcome: ServerConnection.HandshakeOutcome, of connection: inout ServerConnection) {
        switch outcome {
        case .done: pipeline.counts.add(to: connection.isResumed ? .handshakesResumed : .handshakesFull)
        case .plainText: connection.sendPlainText(pipeline.responseToPlainText())
        case .failed, .timedOut: pipeline.counts.add(to: .handshakesFailed)
        }
    }

    func tryRespond(on connection: inout ServerConnection) -> Bool { pipeline.tryHandle(&connection, &cache) }

    func respond(on connection: inout ServerConnection) async { await pipeline.handle(&connection, &cache) }

    func refuse(_ reason: UnreadableRequest, on connection: inout ServerConnection) async {
        await pipeline.refuse(&connection, Failure(reason))
    }
}

extension Failure {
    package init(_ reason: UnreadableRequest) {
        switch reason {
        case .malformed(let error): self.init(.head(error), at: .head)
        case .timedOut: self.init(.headTimeout, at: .head)
        }
    }
}

extension Pipeline {
    /// The response to a client that speaks plain HTTP on the TLS port: the envelope, and no hint whether a token was good.
    func responseToPlainText() -> [UInt8] {
        let exchange = Exchange(trace: TraceContext(random: &random), policies: policies, startedAt: loop.now)
        let response = ErrorResponse(.failure(Failure(.plainHTTP, at: .connect))).rendered(for: exchange, clock)
        var bytes: [UInt8] = []
        HTTP1Head.append(response, for: exchange, .close, heads, to: &bytes)
        return bytes + response.body
    }
}
