/// The life of one HTTP/1.1 connection on the server side, without sockets and without a clock: events in, actions out
/// (RFC 9112, section 9).
package struct ServerConnectionState: Equatable, Sendable {
    private enum Phase: Equatable, Sendable {
        /// Between requests: no byte of the next one has arrived.
        case idle
        /// Part of a head has arrived.
        case head
        /// A request is being answered.
        case exchange(bodyIsRead: Bool)
        case closed
    }

    private var phase: Phase = .idle
    /// Another request may follow the current one.
    private var keepsAlive = true
    /// The last response is incomplete, and its client must notice.
    private var isTruncated = false
    private var isDraining = false
    private var requests = 0
    private let maximumRequests: Int

    package init(maximumRequests: Int = .max) { self.maximumRequests = maximumRequests }

    /// Whether the connection is between requests, and no byte of the next one has arrived.
    package var isIdle: Bool { phase == .idle }

    /// The response that is being written must say `Connection: close`.
    package var announcesClose: Bool { !keepsAlive }

    /// Bytes have arrived that may begin a request: the connection is no longer idle.
    package mutating func receivedBytes() {
        if phase == .idle { phase = .head }
    }

    /// A valid head has arrived: an exchange begins. No other exchange may be in progress.
    package mutating func receivedHead(_ head: borrowing RequestHead) {
        precondition(phase == .head || phase == .idle, "a head begins an exchange")
        phase = .exchange(bodyIsRead: head.framing.isNone)
        requests += 1
        keepsAlive = head.keepsAlive && !isDraining && requests < maximumRequests
    }

    /// No valid head has arrived in time: the gateway responds, and the connection ends.
    package mutating func headFailed() {
        phase = .exchange(bodyIsRead: false)
        keepsAlive = false
    }

    /// The whole body of the request has been read. Ignored outside an exchange.
    package mutating func bodyFinished() {
        if case .exchange = phase { phase = .exchange(bodyIsRead: true) }
    }

    /// The response is about to be written. If the body was not read and will not be discarded, the start of a next
    /// request is unknown, so there is none.
    package mutating func responseStarted(discardsBody: Bool = false) {
        if case .exchange(bodyIsRead: false) = phase, !discardsBody { keepsAlive = false }
    }

    /// The response must be the last one: a stage no longer trusts the connection.
    package mutating func mustClose() { keepsAlive = false }

    /// The response ended early: it must not look complete (RFC 9112, section 8).
    package mutating func mustAbort() {
        keepsAlive = false
        isTruncated = true
    }

    /// What the driver must do after a response was written, completely or in part.
    package enum AfterResponse: Equatable, Sendable { case readNextRequest, closeGracefully, abort }

    /// The response was written, completely or in part. If the body was not read, the connection closes.
    package mutating func responseFinished() -> AfterResponse {
        // An unread body would be read as the next request.
        responseStarted(discardsBody: false)
        guard keepsAlive else {
            phase = .closed
            return isTruncated ? .abort : .closeGracefully
        }
        phase = .idle
        return .readNextRequest
    }

    /// What the driver must do when the gateway drains.
    package enum AfterDrain: Equatable, Sendable { case closeNow, finishExchange }

    /// The current exchange becomes the last one. `closeNow`: none is in progress, and no head has begun.
    package mutating func drainBegan() -> AfterDrain {
        isDraining = true
        keepsAlive = false
        switch phase {
        case .idle, .closed:
            phase = .closed
            return .closeNow
        case .head, .exchange: return .finishExchange
        }
    }
}
