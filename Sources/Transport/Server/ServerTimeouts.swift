/// The times that a client may take. Every wait of a connection is under one of these.
package struct ServerTimeouts: Equatable, Sendable {
    /// The time from the beginning of the TLS handshake to its end.
    package var handshake: Duration
    /// The time from the first byte of a head to its end.
    package var head: Duration
    /// The time between two pieces of a body.
    package var body: Duration
    /// The time for a body from beginning to end.
    package var wholeBody: Duration
    /// The time between two requests.
    package var idle: Duration
    /// The time until the client takes more of a response.
    package var write: Duration

    package init(
        handshake: Duration = .seconds(10), head: Duration = .seconds(10), body: Duration = .seconds(30),
        wholeBody: Duration = .seconds(300), idle: Duration = .seconds(75), write: Duration = .seconds(30)
    ) {
        self.handshake = handshake
        self.head = head
        self.body = body
        self.wholeBody = wholeBody
        self.idle = idle
        self.write = write
    }
}
