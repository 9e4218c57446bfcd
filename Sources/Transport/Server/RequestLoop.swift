internal import Crypto
internal import HTTP

/// An open connection and its server. This is the one loop of requests: find a request, answer it, find the next one.
///
/// A connection that waits for a request, or for its turn, is parked: this object is all that it has, and the loop holds it. When
/// the wait ends, the loop calls it on the loop's stack. There it reads, and answers what needs no waiting. It asks for a task only
/// for work that needs to wait, and leaves the task when it is parked again. Nobody holds a connection that is over.
///
/// `@unchecked Sendable` as its tasks refer to it: it is made, used and dropped on its loop's thread only.
final class RequestLoop: LoopWaiter, @unchecked Sendable {
    private var connection: ServerConnection
    private let server: any ConnectionHandler
    private let listener: Listener

    init(_ connection: consuming ServerConnection, _ server: any ConnectionHandler, of listener: Listener) {
        self.connection = connection
        self.server = server
        self.listener = listener
    }

    deinit { listener.connectionEnded(connection.watch.client, isEvicted: connection.watch.standing == .evicted) }

    /// Work that has to wait for something, and so needs a task.
    private enum Work {
        case handshake
        case respond
        case refuse(UnreadableRequest)
        /// What is written, before the next request is looked for.
        case send
        case close
    }

    private var pendingWork = Work.handshake

    func waitEnded(_ end: WaitEnd) {
        let next: ServerConnection.NextRequest
        switch end {
        case .turn:
            connection.loop.turnBegan(of: connection.owner)
            next = connection.nextRequest()
        case .socket(let readiness): next = connection.nextRequest(after: readiness)
        }
        if let work = respondWithoutWaiting(to: next) {
            pendingWork = work
            connection.loop.beginTask(for: self)
        }
    }

    /// Does what has to wait, until the connection is parked or over. At first that is the handshake.
    func work() async {
        while await finish(pendingWork), let next = respondWithoutWaiting(to: connection.nextRequest()) {
            pendingWork = next
        }
    }

    /// Answers one request after the other for as long as nothing has to wait. Returns the work that has to; `nil` when the
    /// connection is parked or over.
    private func respondWithoutWaiting(to first: ServerConnection.NextRequest) -> Work? {
        var next = first
        while true {
            switch next {
            case .request:
                guard server.tryRespond(on: &connection) else { return .respond }
                switch connection.responseFinished(isStopping: server.isStopping) {
                case .readNextRequest: next = connection.nextRequest()
                case .closeGracefully: return .close
                case .abort: return nil
                }
            case .unreadable(let reason): return .refuse(reason)
            case .unsent: return .send
            case .otherTurn:
                connection.loop.awaitTurn(of: connection.owner, self)
                return nil
            case .needs(let events):
                if server.isStopping { connection.limitIdleTime() }
                if connection.park(self, for: events) { return nil }
                next = connection.nextRequest(after: .ready)
            case .closed: return nil
            }
        }
    }

    /// Whether the connection goes on after this.
    private func finish(_ work: Work) async -> Bool {
        switch work {
        case .handshake:
            let outcome = await connection.handshake()
            server.handshakeEnded(outcome, of: &connection)
            if outcome == .plainText { await connection.closeGracefully() }
            return outcome == .done
        case .send: return await connection.flush()
        case .close:
            await connection.closeGracefully()
            return false
        case .respond: await server.respond(on: &connection)
        case .refuse(let reason): await server.refuse(reason, on: &connection)
        }
        switch connection.responseFinished(isStopping: server.isStopping) {
        case .readNextRequest: return true
        case .closeGracefully:
            await connection.closeGracefully()
            return false
        case .abort: return false
        }
    }
}
