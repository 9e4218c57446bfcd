internal import Bytes
internal import Crypto
package import HTTP

/// Why an exchange over an upstream connection came to nothing.
package enum ExchangeFailure: Error, Equatable, Sendable {
    /// The peer closed or reset the connection.
    case closed
    /// The peer refused the connection in TLS.
    case alert
    case deadlinePassed
    /// The client whom all this is for has gone.
    case abandoned
    case head(ResponseHeadError)
    case tooManyInterim
    case framing(FramingError)
    /// The body ended before its announced end.
    case truncated
    /// Bytes came that answer nothing.
    case unasked
}

/// One connection to an upstream: drives the client side of the codec over a socket, for one exchange at a time.
///
/// A class, because a pool keeps it between exchanges; like everything of its loop it is touched on the loop's thread only.
/// After a thrown ``ExchangeFailure`` the connection is dead: the only thing left to do is drop it, which closes the socket.
package final class UpstreamConnection {
    /// The loop on whose thread it lives.
    package let loop: EventLoop
    private let socket: Socket
    /// Tells whether something comes while others are waited for.
    package let watch: SocketReadiness
    private var stream: ByteStream
    private var state = UpstreamConnectionState()
    private var parser: ResponseHeadParser

    /// The current response. Its ranges count from `headStart` in `input`, and are good until the body is read.
    package private(set) var head = ResponseHead()
    /// The status of the current response.
    package var status: Int { head.status }
    /// Received bytes in `start..<end`; given back to the loop while nothing is in it.
    package private(set) var input: [UInt8] = []
    package private(set) var headStart = 0
    private var start = 0
    private var end = 0
    private var body = BodyDecoder(framing: .none)
    private var method = HTTPMethod.get
    private var hasWholeRequest = false
    /// A head has come over this connection, so its handshake is not in doubt any more.
    private var hasReceivedHead = false
    /// The last byte of the current request has been sent.
    package private(set) var hasSentRequest = false

    /// What is to be sent: the request is appended here, `flush` sends it.
    package var output: [UInt8] = []
    private var outputSent = 0
    /// The end of the request, where it is too long to be copied to `output`.
    private var remainder: [UInt8] = []
    private var remainderSent = 0

    /// When it was given to its pool.
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

    /// Waits until the kernel has connected the socket, or knows that it cannot.
    func awaitConnection(before deadline: Instant) async throws(ConnectFailure) {
        try Self.pass(await watch.writable(before: deadline))
        if let error = socket.connectFailure() { throw ConnectFailure(error) }
    }

    /// Shakes hands; a plain connection has nothing to do.
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

    /// A request to `method` is about to be appended to `output`.
    package func requestStarted(_ method: HTTPMethod) {
        if output.capacity == 0 { output = loop.buffers.takeOutput() }
        self.method = method
        hasWholeRequest = false
        hasSentRequest = false
        state.requestBegan(method)
    }

    /// What `output` holds and `bytes` are the rest of the request: with them it is through.
    package func requestFinished(with bytes: [UInt8] = []) {
        hasWholeRequest = true
        if bytes.count <= UpstreamConnection.copiedBytes { output += bytes } else { remainder = bytes }
    }

    /// Bodies up to this size share their head's segment; longer ones are sent from where they are.
    private static let copiedBytes = 16_000

    /// The exchange failed. Whether its request may be sent again over another connection.
    package func failed() -> UpstreamConnectionState.Retry { state.failed() }

    /// How far a request got.
    package enum Sent: Equatable {
        /// All that there is of it so far.
        case all
        /// Not further for now: the upstream does not take the rest, and a head has come from it. Who wants to go on calls
        /// `flush` again.
        case answered
        /// Not further for now: the upstream takes no more yet.
        case blocked
    }

    /// Sends as much of the request as the kernel takes now, which nearly always is all of it.
    package func tryFlush() throws(ExchangeFailure) -> Sent {
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
            // Not kept for the answer, so that the next request finds it in the caches.
            loop.buffers.giveBack(output: &output)
            hasSentRequest = true
            state.requestSent()
        }
        return .all
    }

    private func write(_ bytes: [UInt8], from sent: inout Int) throws(ExchangeFailure) -> Sent {
        while sent < bytes.count {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.write(bytes, from: sent) } catch {
                // The upstream does not read any more; it may have said why, and the poller not yet have told.
                stream.socketBecameReadable(closing: watch.isPeerClosing)
                guard state.hasSentBytes, try tryHead() else { throw .closed }
                return .answered
            }
            // Also where the kernel took no more for now: a part of a TLS record may have left.
            state.sentBytes()
            switch progress {
            case .done(let count): sent += count
            case .wantsWrite, .wantsRead: return .blocked
            case .closedByPeer: throw .closed
            }
        }
        return .all
    }

    /// Sends the request as far as it is known; the upstream may take nothing for as long as `timeout`. What it waits for ends
    /// when `client` closes its connection. Never `blocked`.
    package func flush(
        within timeout: Duration, unlessClosing client: SocketReadiness? = nil
    ) async throws(ExchangeFailure) -> Sent {
        while true {
            let sent = try tryFlush()
            guard sent == .blocked else { return sent }
            try pass(await watch.ready(before: loop.now + timeout, unlessClosing: client))
            // One of the two, and which one is not told.
            stream.socketBecameReadable(closing: watch.isPeerClosing)
            if try tryHead() { return .answered }
        }
    }

    /// Whether the head of the next response, an interim one included, is here; where not, it has to be waited for with
    /// `awaitBytes`.
    package func tryHead() throws(ExchangeFailure) -> Bool {
        // While a request is being sent nobody waits for what is to be read.
        if watch.isReadable {
            watch.forgetReadable()
            stream.socketBecameReadable(closing: watch.isPeerClosing)
        }
        while true {
            if end > start, try parseHead() { return true }
            switch try receive() {
            case .bytes: guard state.receivedBytes() == .read else { throw .unasked }
            case .end: throw .closed
            case .nothing: return false
            }
        }
    }

    /// Waits for the head of the next response, an interim one included.
    package func nextHead(
        before deadline: Instant, unlessClosing client: SocketReadiness? = nil
    ) async throws(ExchangeFailure) {
        while try !tryHead() { try await awaitBytes(before: deadline, unlessClosing: client) }
    }

    private func parseHead() throws(ExchangeFailure) -> Bool {
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

    /// What is next of the response's body.
    package enum BodyPiece: Equatable {
        /// Body bytes, as a range of `input`; good until the next call.
        case bytes(Range<Int>)
        case end
    }

    /// The next piece of the response's body; `nil` where it has to be waited for with `awaitBytes`.
    package func tryBodyPiece() throws(ExchangeFailure) -> BodyPiece? {
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

    /// A function of its own: with its reference to `input` still alive the next read would copy all of it.
    private func decodeBody() throws(FramingError) -> BodyDecoder.Step {
        let received = input
        return try body.next(received.span, from: &start, to: end)
    }

    /// The next piece of the response's body.
    package func nextBodyPiece(before deadline: Instant) async throws(ExchangeFailure) -> BodyPiece {
        while true {
            if let piece = try tryBodyPiece() { return piece }
            try await awaitBytes(before: deadline)
        }
    }

    private enum Arrival { case bytes, end, nothing }

    /// Reads what has come to `input[end...]`.
    private func receive() throws(ExchangeFailure) -> Arrival {
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

    /// In TLS 1.3 the peer's word on this side's certificate comes after the handshake, instead of an answer.
    private func failure(of error: TLSError) -> ExchangeFailure {
        if case .alert = error.cause, !hasReceivedHead { return .alert }
        return .closed
    }

    /// Waits for more of the response, unless `client`, for whom it is, closes its connection.
    package func awaitBytes(before deadline: Instant, unlessClosing client: SocketReadiness? = nil)
        async throws(ExchangeFailure)
    {
        try pass(await watch.readable(before: deadline, unlessClosing: client))
        stream.socketBecameReadable(closing: watch.isPeerClosing)
    }

    private func pass(_ readiness: Readiness) throws(ExchangeFailure) {
        switch readiness {
        case .ready: return
        case .deadlinePassed, .interrupted: throw .deadlinePassed
        case .abandoned: throw .abandoned
        }
    }

    /// Appends a piece of the body that is still good.
    package func copyBody(_ range: Range<Int>, to output: inout [UInt8]) {
        let received = input
        output.append(received.span, range)
    }

    /// The same as one chunk of a body.
    package func copyBody(asChunk range: Range<Int>, to output: inout [UInt8]) {
        let received = input
        output.append(chunk: received.span, range)
    }

    /// The field lines behind a chunked body that may go on, once it has been read.
    package func appendTrailers(to output: inout [UInt8]) {
        // Where Connection nominates fields, the trailers might be among them: they may always be dropped.
        guard !head.nominatesFields else { return }
        let section = body.trailers
        TrailerSection.append(section.span, to: &output)
    }

    /// Nobody wants more of the response. Whether another request may follow.
    func exchangeFinished() -> Bool {
        state.responseFinished(hasSurplus: start < end || !isDrained()) == .reuse && !watch.isPeerClosing
    }

    /// Whether nothing more has come. Bytes behind a response may be where the poller tells of them no more: in the kernel
    /// after a read that filled its buffer, or within TLS, which reads ahead.
    private func isDrained() -> Bool {
        if stream.isKnownEmpty() { return true }
        makeRoom()
        // TLS has messages of its own, such as session tickets; anything else is nothing that was asked for.
        guard case .wantsRead? = try? stream.read(into: &input, from: end) else { return false }
        return true
    }

    /// Begins to be idle.
    func rest() {
        idleSince = loop.now
        start = 0
        end = 0
        giveBackBuffers()
    }

    /// Whether an idle connection is still good for a request: what came or ended meanwhile makes it useless (RFC 9112,
    /// section 9.2).
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
            head.lend(loop.buffers.takeFields())
        }
        if start == end {
            start = 0
            end = 0
        }
        // Only a head that is longer than a buffer gets here.
        if end == input.count { input.append(contentsOf: repeatElement(0, count: input.count)) }
    }

    private func giveBackBuffers() {
        loop.buffers.giveBack(output: &output)
        guard !input.isEmpty else { return }
        loop.buffers.giveBack(input)
        loop.buffers.giveBack(fields: head.takeRoom())
        input = []
    }
}
