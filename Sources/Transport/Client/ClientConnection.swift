internal import Crypto
package import HTTP

/// Why an exchange over a client connection came to nothing.
package enum ClientFailure: Error, Equatable, Sendable {
    /// The peer closed or reset the connection.
    case closed
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
/// After a thrown ``ClientFailure`` the connection is dead: the only thing left to do is drop it, which closes the socket.
package final class ClientConnection {
    package let loop: EventLoop
    private let socket: Socket
    /// Tells whether something has come.
    package let watch: SocketWatch
    private var stream: ByteStream
    private var state = ClientConnectionState()
    private var parser: ResponseHeadParser

    /// The current response. Its ranges count from `headStart` in `input`, and are good until the body is read.
    package private(set) var head = ResponseHead()
    /// Received bytes in `start..<end`; given back to the loop while nothing is in it.
    package private(set) var input: [UInt8] = []
    package private(set) var headStart = 0
    private var start = 0
    private var end = 0
    private var body = BodyReader(framing: .none)
    private var method = HTTPMethod.get
    private var hasWholeRequest = false
    /// The last byte of the current request has been sent.
    package private(set) var hasSentRequest = false

    /// What is to be sent: the request is appended here, `flush` sends it.
    package var output: [UInt8] = []
    private var outputSent = 0
    /// What follows `output`, and is not copied.
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
        loop.giveBack(input)
    }

    /// Waits until the kernel has connected the socket, or knows that it cannot.
    func awaitConnection(before deadline: Instant) async throws(ConnectFailure) {
        try Self.pass(await watch.writable(before: deadline))
        if let error = socket.connectFailure() { throw ConnectFailure(error) }
    }

    /// Shakes hands; a plain connection has nothing to do.
    func handshake(before deadline: Instant, unlessClosing client: SocketWatch?) async throws(ConnectFailure) {
        while true {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.handshake() } catch { throw .tls(error) }
            switch progress {
            case .done: return
            case .closedByPeer: throw .tls(TLSError(.handshake, reason: "the peer closed the connection"))
            case .wantsWrite: try Self.pass(await watch.writable(before: deadline))
            case .wantsRead:
                try Self.pass(await readable(before: deadline, unlessClosing: client))
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
        takeBuffers()
        self.method = method
        hasWholeRequest = false
        hasSentRequest = false
        state.requestBegan(method)
    }

    /// The whole request is in `output`, or has been sent: with the next `flush` it is through.
    package func requestFinished() { hasWholeRequest = true }

    /// The exchange failed. Whether its request may be sent again over another connection.
    package func failed() -> ClientConnectionState.Retry { state.failed() }

    /// How far a request got.
    package enum Sent: Equatable {
        /// All that there is of it so far.
        case all
        /// Not further for now: the upstream does not take the rest, and a head has come from it. Who wants to go on calls
        /// `flush` again.
        case answered
    }

    /// Sends `output`, and then `bytes` without copying them. What it waits for ends when `client` closes its connection.
    package func flush(
        then bytes: [UInt8] = [], before deadline: Instant, unlessClosing client: SocketWatch? = nil
    ) async throws(ClientFailure) -> Sent {
        if !bytes.isEmpty { remainder = bytes }
        guard try await send(output, from: &outputSent, before: deadline, unlessClosing: client) else {
            return .answered
        }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        guard
            try await send(
                remainder, from: &remainderSent, before: deadline, unlessClosing: client)
        else { return .answered }
        remainder = []
        remainderSent = 0
        if hasWholeRequest {
            hasSentRequest = true
            state.requestSent()
        }
        return .all
    }

    /// `false` when an answer came first.
    private func send(
        _ bytes: [UInt8], from sent: inout Int, before deadline: Instant, unlessClosing client: SocketWatch?
    ) async throws(ClientFailure) -> Bool {
        while sent < bytes.count {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.write(bytes, from: sent) } catch {
                // The upstream does not read any more; it may have said why.
                guard state.hasSentBytes, try headAtHand() else { throw .closed }
                return false
            }
            // Also where the kernel took no more for now: a part of a TLS record may have left.
            state.sentBytes()
            switch progress {
            case .done(let count): sent += count
            case .wantsWrite, .wantsRead:
                try pass(await watch.ready(before: deadline, unlessClosing: client))
                if try headAtHand() { return false }
            case .closedByPeer: throw .closed
            }
        }
        return true
    }

    /// Whether the next head is here, an interim one included. Does not wait.
    package func headAtHand() throws(ClientFailure) -> Bool {
        // What comes after this is an edge of its own.
        watch.forgetReadable()
        stream.socketBecameReadable(closing: watch.isPeerClosing)
        while true {
            if end > start, try parseHead() { return true }
            makeRoom()
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.read(into: &input, from: end) } catch { throw .closed }
            switch progress {
            case .done(let bytes):
                end += bytes
                guard state.receivedBytes() == .read else { throw .unasked }
            case .closedByPeer: throw .closed
            case .wantsRead, .wantsWrite: return false
            }
        }
    }

    /// Waits for the head of the next response, an interim one included.
    package func nextHead(before deadline: Instant, unlessClosing client: SocketWatch? = nil)
        async throws(ClientFailure)
    {
        while true {
            if end > start, try parseHead() { return }
            guard try await fill(before: deadline, unlessClosing: client) else { throw .closed }
            guard state.receivedBytes() == .read else { throw .unasked }
        }
    }

    private func parseHead() throws(ClientFailure) -> Bool {
        let received = input
        do throws(ResponseHeadError) {
            let bytes = received.span.extracting(start..<end)
            guard try parser.parse(bytes, answering: method, into: &head) else { return false }
        } catch { throw .head(error) }
        headStart = start
        start += head.end
        body = BodyReader(framing: head.framing, keepsTrailers: true)
        guard state.receivedHead(head) != .giveUp else { throw .tooManyInterim }
        return true
    }

    package enum BodyPiece: Equatable {
        /// Body bytes, as a range of `input`; good until the next call.
        case bytes(Range<Int>)
        case end
    }

    /// The next piece of the response's body, if it is here already; `nil` where it has to be waited for.
    package func bodyPieceAtHand() throws(ClientFailure) -> BodyPiece? {
        let received = input
        do throws(FramingError) {
            switch try body.next(received.span, from: &start, to: end) {
            case .data(let range): return .bytes(range)
            case .end:
                state.bodyFinished()
                return .end
            case .needsMore: return nil
            }
        } catch { throw .framing(error) }
    }

    /// The next piece of the response's body.
    package func nextBodyPiece(
        before deadline: Instant, unlessClosing client: SocketWatch? = nil
    ) async throws(ClientFailure) -> BodyPiece {
        while true {
            if let piece = try bodyPieceAtHand() { return piece }
            if try await fill(before: deadline, unlessClosing: client) { continue }
            guard case .finish = state.upstreamClosed() else { throw .truncated }
            return .end
        }
    }

    /// Reads at least one byte to `input[end...]`; `false` at the end of the stream.
    private func fill(before deadline: Instant, unlessClosing client: SocketWatch?) async throws(ClientFailure) -> Bool
    {
        while true {
            var progress = TLSProgress.wantsRead
            if !stream.isKnownEmpty() {
                makeRoom()
                do throws(TLSError) { progress = try stream.read(into: &input, from: end) } catch { throw .closed }
            }
            switch progress {
            case .done(let bytes):
                end += bytes
                return true
            case .closedByPeer: return false
            case .wantsRead: try await awaitReadable(before: deadline, unlessClosing: client)
            case .wantsWrite: try pass(await watch.writable(before: deadline))
            }
        }
    }

    private func awaitReadable(before deadline: Instant, unlessClosing client: SocketWatch?) async throws(ClientFailure)
    {
        try pass(await readable(before: deadline, unlessClosing: client))
        stream.socketBecameReadable(closing: watch.isPeerClosing)
    }

    private func readable(before deadline: Instant, unlessClosing client: SocketWatch?) async -> Readiness {
        guard let client else { return await watch.readable(before: deadline) }
        return await watch.readable(before: deadline, unlessClosing: client)
    }

    private func pass(_ readiness: Readiness) throws(ClientFailure) {
        switch readiness {
        case .ready: return
        case .deadlinePassed, .interrupted: throw .deadlinePassed
        case .abandoned: throw .abandoned
        }
    }

    /// Appends a piece that `nextBodyPiece` gave.
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
        state.responseFinished(hasSurplus: start < end) == .reuse && !watch.isPeerClosing
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
        // TLS has messages of its own, such as session tickets; anything else is nothing that was asked for.
        watch.forgetReadable()
        stream.socketBecameReadable(closing: false)
        makeRoom()
        guard case .wantsRead? = try? stream.read(into: &input, from: end) else { return false }
        return !watch.isPeerClosing
    }

    private func takeBuffers() {
        if output.capacity == 0 { output = loop.takeOutput() }
    }

    private func makeRoom() {
        if input.isEmpty {
            input = loop.takeBuffer()
            head.lend(loop.takeFields())
        }
        if start == end {
            start = 0
            end = 0
        }
        // Only a head that is longer than a buffer gets here.
        if end == input.count { input.append(contentsOf: repeatElement(0, count: input.count)) }
    }

    private func giveBackBuffers() {
        loop.giveBack(output: &output)
        guard !input.isEmpty else { return }
        loop.giveBack(input)
        loop.giveBack(fields: head.takeRoom())
        input = []
    }
}
