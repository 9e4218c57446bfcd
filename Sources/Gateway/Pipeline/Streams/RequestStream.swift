package import Transport

/// One request of a client: its head, its body as it comes, and whether the client is still there.
///
/// What can be said of a request whatever protocol brought it. `ServerConnection` is this for HTTP/1.1. Noncopyable: a stream is
/// a local variable of the task that serves it.
package protocol RequestStream: ~Copyable {
    /// The head; good until the body is read, its ranges for as long as the request.
    // WORKAROUND: a span of it is taken only in a function that borrows the request. Where a generic function takes one itself, the
    // compiler ends the borrow too early and says so by a crash.
    var request: Request { get }
    /// Whose share its work uses up.
    var owner: ShareOwner { get set }
    /// How long the client may take for the parts of a request.
    var timeouts: ServerTimeouts { get }
    /// Tells whether the client is still there while others are waited for.
    var watch: SocketReadiness { get }
    /// The time of its loop.
    var now: Instant { get }

    /// The next piece of the body, unless there is something to read at `upstream` before it comes.
    mutating func nextBodyPiece(unlessReadable upstream: SocketReadiness?) async -> RequestBodyPiece
    /// A part of the body has not been read.
    var hasUnreadBody: Bool { get }
    /// Whether what is left of the body is short enough to be read away after the response.
    var canDiscardBody: Bool { get }
    /// Sends the response, and then reads away what is left of the body.
    mutating func discardBody() async

    /// Whether this client has to let others go first before its next step.
    func isTurnOver() -> Bool
    /// Waits until it is this client's turn again.
    func nextTurn() async
}
