package import HTTP

/// Answers the requests of a connection. It is called on the connection's loop.
package protocol ConnectionHandler: AnyObject {
    /// No request is read any more after the one at hand.
    var isStopping: Bool { get }

    /// The handshake has ended. After `done` the first request is read; otherwise the connection ends when this returns.
    func handshakeEnded(_ outcome: ServerConnection.HandshakeOutcome, of connection: inout ServerConnection)

    /// Writes the response to the current request, if that takes no waiting. Otherwise does nothing, and returns `false`.
    ///
    /// This runs on the loop's stack, without a task.
    func tryRespond(on connection: inout ServerConnection) -> Bool

    /// Writes the response to the current request.
    func respond(on connection: inout ServerConnection) async

    /// Writes the response to bytes that are no request. It is the connection's last response.
    func refuse(_ reason: UnreadableRequest, on connection: inout ServerConnection) async
}

extension ConnectionHandler {
    package func handshakeEnded(
        _ outcome: ServerConnection.HandshakeOutcome, of connection: inout ServerConnection
    ) {}

    package func tryRespond(on connection: inout ServerConnection) -> Bool { false }
}

/// Why the bytes that came are no request.
package enum UnreadableRequest: Equatable {
    case malformed(HeadError)
    /// Part of a head came, and the rest did not come in time.
    case timedOut
}
