/// The life of one HTTP/1.1 connection to an upstream, without sockets and without a clock: events in, actions out
/// (RFC 9112, section 9). One request at a time: nothing is pipelined.
package struct UpstreamConnectionState: Equatable, Sendable {
    private enum Phase: Equatable, Sendable {
        case idle
        case exchange(Exchange)
        case closed
    }

    private struct Exchange: Equatable, Sendable {
        let method: HTTPMethod
        /// The connection has carried an earlier request: the upstream may be closing it at the same moment.
        let isReused: Bool
        var hasSentBytes = false
        var requestIsSent = false
        var hasReceivedBytes = false
        var interimHeads = 0
        /// How the body of the final response ends; `nil` before its head.
        var framing: BodyFraming?
        var responseIsRead = false
    }

    private var phase: Phase = .idle
    /// Another request may follow the current one.
    private var keepsAlive = true
    private var hasCarriedRequest = false

    /// The maximum of heads before the final one: more would only keep the client waiting.
    private static let maxInterimHeads = 16

    /// The state of a new connection.
    package init() {}

    /// The connection may carry a request now.
    package var isIdle: Bool { phase == .idle }

    /// A request was chosen for this connection. `keepsAlive` is false if it has `Connection: close`.
    package mutating func requestBegan(_ method: HTTPMethod, keepsAlive: Bool = true) {
        precondition(phase == .idle, "one request at a time")
        phase = .exchange(Exchange(method: method, isReused: hasCarriedRequest))
        self.keepsAlive = keepsAlive
        hasCarriedRequest = true
    }

    /// Bytes of the request are about to be passed to the transport: from now on they may arrive.
    package mutating func sentBytes() { update { $0.hasSentBytes = true } }

    /// A byte of the current request may have arrived.
    package var hasSentBytes: Bool {
        if case .exchange(let exchange) = phase { exchange.hasSentBytes } else { false }
    }

    /// The last byte of the request, its body included, was passed to the transport.
    package mutating func requestSent() {
        update {
            $0.hasSentBytes = true
            $0.requestIsSent = true
        }
    }

    /// What the driver must do with bytes from the upstream.
    package enum AfterBytes: Equatable, Sendable {
        case read
        /// No request waits for a response, so the bytes are none (RFC 9112, section 9.2).
        case close
    }

    /// Bytes have arrived and are not parsed yet.
    package mutating func receivedBytes() -> AfterBytes {
        guard case .exchange(let exchange) = phase, exchange.hasSentBytes, !exchange.responseIsRead else {
            keepsAlive = false
            if phase == .idle { phase = .closed }
            return .close
        }
        update { $0.hasReceivedBytes = true }
        return .read
    }

    /// What the driver must do after a response head.
    package enum AfterHead: Equatable, Sendable {
        /// It was an interim one.
        case readNextHead
        /// It was an interim one, above the maximum.
        case giveUp
        case readBody
        /// There is no body: the response is read.
        case finish
    }

    /// A head was parsed; `receivedBytes` came before it.
    package mutating func receivedHead(_ head: borrowing ResponseHead) -> AfterHead {
        guard case .exchange(var exchange) = phase, exchange.hasReceivedBytes, exchange.framing == nil else {
            preconditionFailure("a head answers a request, and there is one final head")
        }
        keepsAlive = keepsAlive && head.keepsAlive
        if head.isInterim {
            exchange.interimHeads += 1
        } else {
            exchange.framing = head.framing
            exchange.responseIsRead = head.framing.isNone
        }
        phase = .exchange(exchange)
        if head.isInterim { return exchange.interimHeads > Self.maxInterimHeads ? .giveUp : .readNextHead }
        return exchange.responseIsRead ? .finish : .readBody
    }

    /// The body has ended.
    package mutating func bodyFinished() { update { if $0.framing != nil { $0.responseIsRead = true } } }

    /// The connection must not carry another request: its driver no longer trusts it.
    package mutating func mustClose() {
        keepsAlive = false
        if phase == .idle { phase = .closed }
    }

    /// What the driver must do with the connection after a response.
    package enum AfterResponse: Equatable, Sendable { case reuse, close }

    /// The driver is done with the response. The connection can be reused only if both messages have ended and no bytes
    /// follow the response (`hasSurplus`).
    package mutating func responseFinished(hasSurplus: Bool) -> AfterResponse {
        guard case .exchange(let exchange) = phase, exchange.requestIsSent, exchange.responseIsRead, keepsAlive,
            !hasSurplus
        else {
            phase = .closed
            return .close
        }
        phase = .idle
        return .reuse
    }

    /// Whether the request of a failed connection may be sent again on another one (RFC 9110, section 9.2.2).
    ///
    /// The caller must still have the whole body, and a budget.
    package enum Retry: Equatable, Sendable {
        /// The upstream cannot have seen it.
        case nothingSent
        /// The upstream most likely closed a connection that was idle for it, and the request is idempotent.
        case reusedAndNoResponseByte
        case no
    }

    /// The connection broke, or its deadline passed.
    package mutating func failed() -> Retry {
        defer { phase = .closed }
        guard case .exchange(let exchange) = phase else { return .no }
        guard exchange.hasSentBytes else { return .nothingSent }
        let isLost = exchange.isReused && !exchange.hasReceivedBytes && exchange.method.isIdempotent
        return isLost ? .reusedAndNoResponseByte : .no
    }

    /// What the end of the upstream's bytes means.
    package enum AfterEnd: Equatable, Sendable {
        /// No exchange was in progress.
        case close
        /// It is also the end of the body.
        case finish
        /// The response is missing or cut short.
        case failed(Retry)
    }

    /// The upstream has sent its last byte, and TLS has reported no truncation.
    package mutating func upstreamClosed() -> AfterEnd {
        keepsAlive = false
        guard case .exchange(let exchange) = phase else {
            phase = .closed
            return .close
        }
        if exchange.responseIsRead { return .finish }
        guard exchange.framing == .untilClose else { return .failed(failed()) }
        update { $0.responseIsRead = true }
        return .finish
    }

    private mutating func update(_ change: (inout Exchange) -> Void) {
        guard case .exchange(var exchange) = phase else { return }
        change(&exchange)
        phase = .exchange(exchange)
    }
}
