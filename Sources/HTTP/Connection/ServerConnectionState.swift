/// The life of one HTTP/1.1 connection on the server side, without sockets and without a clock: events in, actions out
/// (RFC 9112, section 9).
package struct ServerConnectionState: Equatable, Sendable {
    private enum Phase: Equatable, Sendable {
        /// Between requests: nothing of the next one has come.
        case idle
        /// Part of a head has come.
        case head
        /// A request is being answered.
        case exchange(bodyIsRead: Bool)
        case closed
    }

    private var phase: Phase = .idle
    /// Another request may follow the current one.
    private var keepsAlive = true
    /// The last response is not whole, and its client must see that.
    private var isCut = false
    private var isDraining = false
    private var requests = 0
    private let maximumRequests: Int

    package init(maximumRequests: Int = .max) { self.maximumRequests = maximumRequests }

    package var isIdle: Bool { phase == .idle }

    /// The response that is being written must say `Connection: close`.
    package var announcesClose: Bool { !keepsAlive }

    /// Bytes have come that may be the beginning of a request: the connection is idle no more.
    package mutating func receivedBytes() {
        if phase == .idle { phase = .head }
    }

    package mutating func receivedHead(_ head: borrowing RequestHead) {
        precondition(phase == .head || phase == .idle, "a head begins an exchange")
        phase = .exchange(bodyIsRead: head.framing.isNone)
        requests += 1
        keepsAlive = head.keepsAlive && !isDraining && requests < maximumRequests
    }

    /// What came is no request that could be followed by another: it is answered, and that is the end.
    package mutating func receivedGarbage() {
        phase = .exchange(bodyIsRead: false)
        keepsAlive = false
    }

    package mutating func bodyFinished() {
        if case .exchange = phase { phase = .exchange(bodyIsRead: true) }
    }

    /// The answer is about to be written. If the body was not read and will not be read away afterwards, where the next
    /// request would start is unknown, so there is none.
    package mutating func responseStarted(discardsBody: Bool = false) {
        if case .exchange(bodyIsRead: false) = phase, !discardsBody { keepsAlive = false }
    }

    /// The response must be the last one: its stage lost trust in the connection.
    package mutating func mustClose() { keepsAlive = false }

    /// The response ended early: the connection must not look as if it ended well (RFC 9112, section 8).
    package mutating func mustCut() {
        keepsAlive = false
        isCut = true
    }

    /// What the driver must do after a response was written, as far as it was.
    package enum AfterResponse: Equatable, Sendable { case readNextRequest, closeGracefully, cut }

    package mutating func responseFinished() -> AfterResponse {
        // An unread body would be taken for the next request.
        responseStarted(discardsBody: false)
        guard keepsAlive else {
            phase = .closed
            return isCut ? .cut : .closeGracefully
        }
        phase = .idle
        return .readNextRequest
    }

    /// What the driver must do when the gateway drains.
    package enum AfterDrain: Equatable, Sendable { case closeNow, finishExchange }

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
