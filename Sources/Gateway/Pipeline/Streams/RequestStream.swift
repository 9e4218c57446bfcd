package import Transport

/// One request of a client: its head, its body as it arrives, and whether the client is still connected.
///
/// What can be said of a request whatever protocol brought it. `ServerConnection` is this for HTTP/1.1. Noncopyable: a stream is
/// lent to whoever works on its request.
package protocol RequestStream: ~Copyable {
    /// The head. Valid until the body is read; its ranges are valid as long as the request.
    // WORKAROUND: take a span of it only in a function that borrows the request. If a generic function takes one
    // itself, the compiler ends the borrow too early and crashes.
    var request: Request { get }
    /// The owner whose share the request's work uses.
    var owner: ShareOwner { get set }
    /// The timeouts for the client's part of a request.
    var timeouts: ServerTimeouts { get }
    /// Shows whether the client is still connected while the gateway waits for others.
    var watch: SocketReadiness { get }
    /// The time of its loop.
    var now: Instant { get }

    /// The next piece of the body, or `.answered` if `upstream` becomes readable first.
    mutating func nextBodyPiece(unlessReadable upstream: SocketReadiness?) async -> RequestBodyPiece
    /// Whether a part of the body has not been read.
    var hasUnreadBody: Bool { get }
    /// Whether the rest of the body is short enough to be discarded after the response.
    var canDiscardBody: Bool { get }
    /// Sends the response, then discards the rest of the body.
    mutating func discardBody() async

    /// Whether this client must let others proceed before its next step.
    func isTurnOver() -> Bool
    /// Waits for this client's next turn.
    func nextTurn() async
}
