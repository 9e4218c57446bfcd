internal import Bytes
internal import Crypto
package import HTTP

/// Why an exchange over an upstream connection failed.
package enum UpstreamConnectionError: Error, Equatable, Sendable {
    /// The peer closed or reset the connection.
    case closed
    /// The peer rejected the connection with a TLS alert.
    case alert
    case deadlinePassed
    /// The client that waits for the exchange has closed its connection.
    case abandoned
    case head(ResponseHeadError)
    case tooManyInterim
    case framing(FramingError)
    /// The body ended before its announced end.
    case truncated
    /// The upstream sent bytes that belong to no request.
    case unexpectedBytes
}

/// One connection to an upstream: drives the client side of the codec over a socket, for one exchange at a time.
///
/// A class, because a pool keeps it between exchanges; only its loop's thread uses it. After a thrown
/// ``UpstreamConnectionError`` the connection is unusable: drop it, which closes the socket.
package final class UpstreamConnection {
    /// The loop whose thread uses the connection.
    package let loop: EventLoop
    private let socket: Socket
    /// The readiness of the socket, for callers that wait for another socket.
    package let watch: SocketReadiness
    private var stream: ByteStream
    private var state = UpstreamConnectionState()
    private var parser: ResponseHeadParser

    /// The current response. Its ranges are relative to `headStart` in `input`, and valid until the body is read.
    package private(set) var head = ResponseHead()
    /// The status of the current response.
    package var status: Int { head.status }
    /// Received bytes in `start..<end`; the loop gets the buffer back while it is empty.
    package private(set) var input: [UInt8] = []
    package private(set) var headStart = 0
    private var start = 0
    private var end = 0
    private var body = BodyDecoder(framing: .none)
    private var method = HTTPMethod.get
    private var hasWholeRequest = false
    /// A head was received over this connection: the upstream has accepted its handshake.
    private var hasReceivedHead = false
    /// The last byte of the current request has been sent.
    package private(set) var hasSentRequest = false

    /// The bytes to send: the request is appended here, `flush` sends it.
    package var output: [UInt8] = []
    private var outputSent = 0
    /// The end of the request if it is too long to be copied to `output`.
    private var remainder: [UInt8] = []
    private var remainderSent = 0

    /// When the pool received the connection.
    var idleSince = Instant(nanoseconds: 0)

    init(loop: EventLoop, socket: consuming Socket, target: Target, limits: HeadLimits) throws(ConnectFailure) {
        do throws(TLSError) {
            stream = try ByteStream(client: target.tls, socket: socket.descriptor, serverName: target.serverName)
        } catch { throw .tls(error) }
        do throws(SystemError) { watch = try loop.watch(socket.descriptor) } catch { throw .local(error) }
        self.loop = loop
        self.socket = socket
        parser = ResponseHeadParser(limits: limits)
    }

    deinit {
        loop.unwatch(watch)
        loop.buffers.giveBack(input)
    }

    /// Waits until the kernel has connected the socket, or has failed to.
    func awaitConnection(before deadline: Instant) async throws(ConnectFailure) {
        try Self.pass(await watch.writable(before: deadline))
        if let error = socket.connectFailure() { throw ConnectFailure(error) }
    }

    /// Makes the handshake; a plain connection has none.
    func handshake(before deadline: Instant, unlessClosing client: SocketReadiness?) async throws(ConnectFailure) {
        while true {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.handshake() } catch { throw .tls(error) }
            switch progress {
            case .done: return
            case .closedByPeer: throw .tls(TLSError(.handshake, reason: "the peer closed the connection"))
            case .wantsWrite: try Self.pass(await watch.writable(before: deadline))
            case .wantsRead:
                try Self.pass(await watch.readable(before: deadline, unlessClosing: client))
                stream.socketBecameReadable(closing: watch.isPeerClosing)
            }
        }
    }

    private static func pass(_ readiness: Readiness) throws(ConnectFailure) {
        switch readiness {
        case .ready: return
        case .deadlinePassed, .interrupted: throw .deadlinePassed
        case .abandoned: throw .abandoned
        }
    }

    /// The next bytes appended to `output` are a request with `method`.
    package func requestStarted(_ method: HTTPMethod) {
        if output.capacity == 0 { output = loop.buffers.takeOutput() }
        self.method = method
        hasWholeRequest = false
        hasSentRequest = false
        state.requestBegan(method)
    }

    /// The bytes in `output`, followed by `bytes`, are the rest of the request.
    package func requestFinished(with bytes: [UInt8] = []) {
        hasWholeRequest = true
        if bytes.count <= UpstreamConnection.copiedBytes { output += bytes } else { remainder = bytes }
    }

    /// Bodies up to this size share a segment with their head; longer ones are sent without being copied.
    private static let copiedBytes = 16_000

    /// The exchange failed. Returns whether its request may be sent again over another connection.
    package func failed() -> UpstreamConnectionState.Retry { state.failed() }

    /// How much of a request has been sent.
    package enum Sent: Equatable {
        /// All bytes that exist so far.
        case all
        /// A part: the upstream does not take the rest, and has sent a head. To continue, call `flush` again.
        case answered
        /// A part: the upstream takes no more for now.
        case blocked
    }

    /// Sends as much of the request as the kernel takes now: nearly always all of it.
    package func tryFlush() throws(UpstreamConnectionError) -> Sent {
        let sent = try write(output, from: &outputSent)
        guard sent == .all else { return sent }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        if !remainder.isEmpty {
            let sent = try write(remainder, from: &remainderSent)
            guard sent == .all else { return sent }
            remainder = []
            remainderSent = 0
        }
        if hasWholeRequest {
            // Given back before the response, so that the next request finds the buffer in the CPU's caches.
            loop.buffers.giveBack(output: &output)
            hasSentRequest = true
            state.requestSent()
        }
        return .all
    }

    private func write(_ bytes: [UInt8], from sent: inout Int) throws(UpstreamConnectionError) -> Sent {
        while sent < bytes.count {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.write(bytes, from: sent) } catch {
                // The upstream stopped reading. Its response may be here, even if the poller has not reported it.
                stream.socketBecameReadable(closing: watch.isPeerClosing)
                guard state.hasSentBytes, try tryHead() else { throw .closed }
                return .answered
            }
            // Also if the kernel took no more for now: a part of a TLS record may have been sent.
            state.sentBytes()
            switch progress {
            case .done(let count): sent += count
            case .wantsWrite, .wantsRead: return .blocked
            case .closedByPeer: throw .closed
            }
        }
        return .all
    }

    /// Sends all bytes of the request that exist so far; the upstream may take nothing for `timeout` at most. Fails if
    /// `client` closes its connection. Never returns `blocked`.
    package func flush(
        within timeout: Duration, unlessClosing client: SocketReadiness? = nil
    ) async throws(UpstreamConnectionError) -> Sent {
        while true {
            let sent = try tryFlush()
            guard sent == .blocked else { return sent }
            try pass(await watch.ready(before: loop.now + timeout, unlessClosing: client))
            // The socket is readable or writable; `ready` does not distinguish the two.
            stream.socketBecameReadable(closing: watch.isPeerClosing)
            if try tryHead() { return .answered }
        }
    }

    /// Whether the head of the next response, which may be an interim one, has arrived; if not, wait with `awaitBytes`.
    package func tryHead() throws(UpstreamConnectionError) -> Bool {
        // While a request is sent, no task waits for the socket to become readable: the flag is checked here.
        if watch.isReadable {
            watch.forgetReadable()
            stream.socketBecameReadable(closing: watch.isPeerClosing)
        }
        while true {
            if end > start, try parseHead() { return true }
            switch try receive() {
            case .bytes: guard state.receivedBytes() == .read else { throw .unexpectedBytes }
            case .end: throw .closed
            case .nothing: return false
            }
        }
    }

    /// Waits for the head of the next response, which may be an interim one.
    package func nextHead(
        before deadline: Instant, unlessClosing client: SocketReadiness? = nil
    ) async throws(UpstreamConnectionError) {
        while try !tryHead() { try await awaitBytes(before: deadline, unlessClosing: client) }
    }

    private func parseHead() throws(UpstreamConnectionError) -> Bool {
        let received = input
        do throws(ResponseHeadError) {
            let bytes = received.span.extracting(start..<end)
            guard try parser.parse(bytes, answering: method, into: &head) else { return false }
        } catch { throw .head(error) }
        hasReceivedHead = true
        headStart = start
        start += head.end
        body = BodyDecoder(framing: head.framing, keepsTrailers: true)
        guard state.receivedHead(head) != .giveUp else { throw .tooManyInterim }
        return true
    }

    /// The next part of the response's body.
    package enum BodyPiece: Equatable {
        /// Body bytes, as a range of `input`; valid until the next call.
        case bytes(Range<Int>)
        case end
    }

    /// The next piece of the response's body; `nil` if it has not arrived: wait with `awaitBytes`.
    package func tryBodyPiece() throws(UpstreamConnectionError) -> BodyPiece? {
        while true {
            do throws(FramingError) {
                switch try decodeBody() {
                case .data(let range): return .bytes(range)
                case .end:
                    state.bodyFinished()
                    return .end
                case .needsMore: break
                }
            } catch { throw .framing(error) }
            switch try receive() {
            case .bytes: continue
            case .nothing: return nil
            case .end:
                guard case .finish = state.upstreamClosed() else { throw .truncated }
                return .end
            }
        }
    }

    /// A separate function: if its reference to `input` lived longer, the next read would copy the whole buffer.
    private func decodeBody() throws(FramingError) -> BodyDecoder.Step {
        let received = input
        return try body.next(received.span, from: &start, to: end)
    }

    /// The next piece of the response's body.
    package func nextBodyPiece(before deadline: Instant) async throws(UpstreamConnectionError) -> BodyPiece {
        while true {
            if let piece = try tryBodyPiece() { return piece }
            try await awaitBytes(before: deadline)
        }
    }

    private enum Arrival { case bytes, end, nothing }

    /// Reads received bytes into `input[end...]`.
    private func receive() throws(UpstreamConnectionError) -> Arrival {
        guard !stream.isKnownEmpty() else { return .nothing }
        makeRoom()
        let progress: TLSProgress
        do throws(TLSError) { progress = try stream.read(into: &input, from: end) } catch { throw failure(of: error) }
        switch progress {
        case .done(let bytes):
            end += bytes
            return .bytes
        case .closedByPeer: return .end
        // TLS without renegotiation writes nothing when it reads.
        case .wantsRead, .wantsWrite: return .nothing
        }
    }

    /// In TLS 1.3 a peer rejects this side's certificate after the handshake: an alert instead of a response.
    private func failure(of error: TLSError) -> UpstreamConnectionError {
        if case .alert = error.cause, !hasReceivedHead { return .alert }
        return .closed
    }

    /// Waits for more of the response; fails if `client`, which the response is for, closes its connection.
    package func awaitBytes(before deadline: Instant, unlessClosing client: SocketReadiness? = nil)
        async throws(UpstreamConnectionError)
    {
        try pass(await watch.readable(before: deadline, unlessClosing: client))
        stream.socketBecameReadable(closing: watch.isPeerClosing)
    }

    private func pass(_ readiness: Readiness) throws(UpstreamConnectionError) {
        switch readiness {
        case .ready: return
        case .deadlinePassed, .interrupted: throw .deadlinePassed
        case .abandoned: throw .abandoned
        }
    }

    /// Appends a piece of the body that is still valid.
    package func copyBody(_ range: Range<Int>, to output: inout [UInt8]) {
        let received = input
        output.append(received.span, range)
    }

    /// The same as one chunk of a chunked body.
    package func copyBody(asChunk range: Range<Int>, to output: inout [UInt8]) {
        let received = input
        output.append(chunk: received.span, range)
    }

    /// Appends the trailers of a chunked body that may be forwarded; called when the body has been read.
    package func appendTrailers(to output: inout [UInt8]) {
        // Fields that Connection nominates might be among the trailers. Dropping trailers is always allowed.
        guard !head.nominatesFields else { return }
        let section = body.trailers
        TrailerSection.append(section.span, to: &output)
    }

    /// The exchange is over, with or without the rest of the response. Returns whether another request may follow.
    func exchangeFinished() -> Bool {
        state.responseFinished(hasSurplus: start < end || !isDrained()) == .reuse && !watch.isPeerClosing
    }

    /// Whether no more bytes have come. The poller does not report bytes after a response that are in the kernel after
    /// a read that filled its buffer, or within TLS, which reads ahead.
    private func isDrained() -> Bool {
        if stream.isKnownEmpty() { return true }
        makeRoom()
        // TLS sends messages of its own, such as session tickets; other bytes belong to no request.
        guard case .wantsRead? = try? stream.read(into: &input, from: end) else { return false }
        return true
    }

    /// The connection becomes idle.
    func rest() {
        idleSince = loop.now
        start = 0
        end = 0
        giveBackBuffers()
    }

    /// Whether an idle connection can still carry a request: it cannot if the peer has sent bytes or closed it (RFC
    /// 9112, section 9.2).
    func isStillGood() -> Bool {
        guard !watch.isPeerClosing else { return false }
        guard watch.isReadable else { return true }
        watch.forgetReadable()
        stream.socketBecameReadable(closing: false)
        guard isDrained() else { return false }
        giveBackBuffers()
        return !watch.isPeerClosing
    }

    private func makeRoom() {
        if input.isEmpty {
            input = loop.buffers.takeLarge()
            head.adoptStorage(loop.buffers.takeFields())
        }
        if start == end {
            start = 0
            end = 0
        }
        // Only a head longer than a buffer needs this.
        if end == input.count { input.append(contentsOf: repeatElement(0, count: input.count)) }
    }

    private func giveBackBuffers() {
        loop.buffers.giveBack(output: &output)
        guard !input.isEmpty else { return }
        loop.buffers.giveBack(input)
        loop.buffers.giveBack(fields: head.takeStorage())
        input = []
    }
}
