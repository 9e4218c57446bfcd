package import Crypto
package import HTTP

/// One client's connection: drives the codec over a socket for the one task that owns it.
///
/// Noncopyable and not `Sendable`: a local variable of its task, made, used and dropped on its loop. That way no reference
/// is counted and no access checked on the path of a request.
package struct ServerConnection: ~Copyable {
    private let inPlace = AddressPin()
    package let loop: EventLoop
    package var now: Instant { loop.now }
    private let socket: Socket
    /// Tells whether the client is still there while others are waited for.
    package let watch: SocketReadiness
    var stream: ByteStream
    package let timeouts: ServerTimeouts
    private let idleTimeout: Timeout
    private let context: TLSContext?
    /// After this the current request is the last one.
    private let endOfLife: Instant

    package internal(set) var state: ServerConnectionState
    private var parser: RequestHeadParser

    /// The current request. Its input is given back to the loop while nothing is in it.
    package internal(set) var currentRequest: Request
    /// What has been received and not used yet is `start..<end` of the request's input.
    var start = 0
    var end = 0
    var body: BodyDecoder = BodyDecoder(framing: .none)

    /// What is to be sent: responses are appended here, `flush` sends them. Responses to pipelined requests leave
    /// together.
    package var output: [UInt8] = []
    /// How much of `output` is on its way already; zero but while a flush waits.
    var outputSent = 0
    /// A part of what was to be sent may have left, and the rest will not: nothing may follow it.
    var hasFailedToSend = false
    /// The body of the response under way is written in chunks (RFC 9112, section 7.1). Whoever writes the head says so.
    package var writesChunks = false
    package internal(set) var bytesSent = 0
    /// The deadline of the answer under way: nothing more of it is sent then.
    package var responseEnd = Instant.distantFuture
    /// Whose share its work uses up: the client's address, until the organization and the token are known.
    package var owner: ShareOwner

    init(
        loop: EventLoop, socket descriptor: Int32, context: TLSContext?, settings: Listener.Settings, client: UInt64?
    ) throws {
        let socket = Socket(owning: descriptor)
        let stream = try ByteStream(server: context, socket: descriptor)
        watch = try loop.watch(descriptor)
        // WORKAROUND: with an autoclosure here, such as that of `??`, the compiler ends the watch before the connection
        // begins.
        var owner = UInt64(watch.generation)
        if let client {
            watch.standing = .silent
            watch.client = client
            owner = client
        }
        self.owner = ShareOwner(organization: 0, token: owner)
        self.loop = loop
        self.socket = socket
        self.stream = stream
        self.context = context
        currentRequest = Request(peer: peerAddress(of: descriptor))
        timeouts = settings.timeouts
        idleTimeout = Timeout(settings.timeouts.idle)
        endOfLife = settings.maximumAge.map { loop.now + $0 } ?? .distantFuture
        state = ServerConnectionState(maximumRequests: settings.maximumRequestsPerConnection)
        parser = RequestHeadParser(limits: settings.headLimits)
    }

    deinit {
        loop.unwatch(watch)
        loop.buffers.giveBack(currentRequest.input)
    }

    package enum HandshakeOutcome: Equatable {
        case done
        /// The peer sent something readable that is not TLS; it can be answered with `sendPlainText`.
        case plainText
        case failed(TLSError)
        case timedOut
    }

    /// What a part of a handshake counts for: it takes as long as so many reads, or longer.
    private static let stepsOfHandshake = 16

    package mutating func handshake() async -> HandshakeOutcome {
        guard context != nil else { return .done }
        let deadline = loop.now + timeouts.handshake
        do {
            while true {
                var readiness = Readiness.ready
                // Whoever begins many at once waits for its turn with each.
                if loop.isTurnOver(of: owner, steps: ServerConnection.stepsOfHandshake) {
                    loop.waitingHandshakes += 1
                    await nextTurn()
                    loop.waitingHandshakes -= 1
                    // Who has left meanwhile, or had to go, needs no handshake any more.
                    guard !watch.isPeerClosing, watch.standing != .evicted else { return .timedOut }
                }
                switch try stream.handshake() {
                case .done:
                    currentRequest.isTLS13 = stream.isTLS13()
                    return .done
                case .wantsRead, .closedByPeer:
                    readiness = await watch.readable(before: deadline)
                    stream.socketBecameReadable(closing: watch.isPeerClosing)
                case .wantsWrite: readiness = await watch.writable(before: deadline)
                }
                guard readiness == .ready else { return .timedOut }
            }
        } catch {
            return stream.peerSentPlainHTTP() ? .plainText : .failed(error)
        }
    }

    package mutating func sendPlainText(_ bytes: [UInt8]) { stream.sendPlainText(bytes) }

    package enum NextRequest: Equatable {
        case request
        /// Bytes came that are no request; they can be answered, and then the connection ends.
        case malformed(HeadError)
        /// Part of a head came and no more: to be answered 408.
        case timedOut
        /// The connection is over: closed, broken, idle for too long, or idle while draining.
        case closed
    }

    /// Waits for the next request's head, after sending what is still to be sent.
    package mutating func nextRequest() async -> NextRequest {
        var isInHead = false
        var hasRead = false
        var deadline = loop.now + idleTimeout
        // Small responses to pipelined requests leave together; large ones must not pile up at a client that asks for
        // many and reads none.
        if output.count >= ServerConnection.recordBytes, !trySend() {
            guard await flush() else { return .closed }
        }
        while true {
            if end > start {
                state.receivedBytes()
                do throws(HeadError) {
                    if try parseHead() {
                        beginExchange()
                        // After a read, `fill` has asked already.
                        if !hasRead, isTurnOver() { await nextTurn() }
                        return .request
                    }
                } catch {
                    parser.reset()
                    currentRequest.headStart = start
                    state.headFailed()
                    return .malformed(error)
                }
            }
            if !trySend() {
                guard await flush() else { return .closed }
            }
            if !state.isIdle, !isInHead {
                isInHead = true
                deadline = loop.now + timeouts.head
            }
            switch await fill(before: deadline, interruptible: state.isIdle) {
            case .bytes: hasRead = true
            case .deadlinePassed where !state.isIdle:
                state.headFailed()
                return .timedOut
            case .deadlinePassed, .closed, .interrupted:
                // Said in TLS too: to the client an end without it looks like an attack (RFC 8446, section 6.1).
                stream.finishWriting()
                return .closed
            case .broken: return .closed
            }
        }
    }

    private mutating func parseHead() throws(HeadError) -> Bool {
        // The array's own reference: a span of `self` could not be read while `head` is written.
        let received = currentRequest.input
        return try parser.parse(received.span.extracting(start..<end), into: &currentRequest.head)
    }

    private mutating func beginExchange() {
        currentRequest.headStart = start
        start += currentRequest.head.end
        body = BodyDecoder(framing: currentRequest.head.framing)
        state.receivedHead(currentRequest.head)
        if watch.standing != .notAClients { watch.standing = .busy }
        if loop.now > endOfLife { state.mustClose() }
    }

    enum Fill { case bytes, deadlinePassed, closed, broken, interrupted }

    /// Reads at least one byte to `input[end...]`.
    mutating func fill(
        before deadline: Instant, interruptible: Bool, unlessReadable other: SocketReadiness? = nil
    ) async -> Fill {
        while true {
            var progress = TLSProgress.wantsRead
            if !stream.isKnownEmpty() {
                makeRoom()
                do throws(TLSError) { progress = try stream.read(into: &currentRequest.input, from: end) } catch {
                    return .broken
                }
            }
            switch progress {
            case .done(let bytes):
                end += bytes
                if isTurnOver() { await nextTurn() }
                return .bytes
            case .closedByPeer: return .closed
            case .wantsRead:
                if start == end, state.isIdle { giveBackBuffers() }
                let readiness =
                    if let other { await watch.readable(before: deadline, unlessReadable: other) } else {
                        await watch.readable(before: deadline, interruptible: interruptible)
                    }
                switch readiness {
                case .ready: stream.socketBecameReadable(closing: watch.isPeerClosing)
                case .deadlinePassed: return .deadlinePassed
                case .interrupted, .abandoned: return .interrupted
                }
            case .wantsWrite:
                guard await watch.writable(before: deadline) == .ready else { return .deadlinePassed }
            }
        }
    }

    /// Whether this connection has to let others go first before its next step. To be asked once for each step: a client that
    /// always has more to send, or takes everything at once, must not keep the loop for itself.
    package func isTurnOver() -> Bool { loop.isTurnOver(of: owner) }

    /// Waits until it is this connection's turn again.
    package func nextTurn() async { await loop.nextTurn(of: owner) }

    /// Sees to it that there is room to read into. Between requests what is left moves to the front; during an
    /// exchange the head stays, and the room behind it is used for the body again and again.
    private mutating func makeRoom() {
        if currentRequest.input.isEmpty {
            currentRequest.input = loop.buffers.takeSmall()
            currentRequest.head.adoptStorage(loop.buffers.takeFields())
            start = 0
            end = 0
        }
        let isExchange = !state.isIdle && body.isActive
        if isExchange {
            if currentRequest.input.count < BufferPools.largeBytes { moveToLargeBuffer() }
            if start == end {
                // A head that ends near the buffer's end would leave room for a byte at a time.
                if currentRequest.headStart > 0,
                    currentRequest.input.count - currentRequest.headStart - currentRequest.head.end
                        < BufferPools.smallBytes
                {
                    currentRequest.input.moveToFront(
                        currentRequest.headStart..<currentRequest.headStart + currentRequest.head.end)
                    currentRequest.headStart = 0
                }
                start = currentRequest.headStart + currentRequest.head.end
                end = start
                if currentRequest.input.count - end < BufferPools.smallBytes {
                    currentRequest.input.append(contentsOf: repeatElement(0, count: BufferPools.largeBytes))
                }
            }
        } else if start == end {
            start = 0
            end = 0
        } else if start > 0, currentRequest.input.count - end < 4096 {
            currentRequest.input.moveToFront(start..<end)
            end -= start
            start = 0
        }
        if end == currentRequest.input.count {
            currentRequest.input.append(contentsOf: repeatElement(0, count: currentRequest.input.count))
        }
    }

    /// There is more of the body than came with the head.
    private mutating func moveToLargeBuffer() {
        var buffer = loop.buffers.takeLarge()
        buffer.replaceSubrange(0..<end, with: currentRequest.input[0..<end])
        loop.buffers.giveBack(currentRequest.input)
        currentRequest.input = buffer
    }

    private mutating func giveBackBuffers() {
        loop.buffers.giveBack(output: &output)
        guard !currentRequest.input.isEmpty else { return }
        loop.buffers.giveBack(currentRequest.input)
        loop.buffers.giveBack(fields: currentRequest.head.takeStorage())
        currentRequest.input = []
        start = 0
        end = 0
    }

    /// A response is about to be appended to `output`.
    package mutating func responseStarted(discardsBody: Bool = false) {
        if output.capacity == 0 { output = loop.buffers.takeOutput() }
        state.responseStarted(discardsBody: discardsBody)
    }

    package mutating func mustClose() { state.mustClose() }

    /// The response ended early, and the client must see that: nothing more is sent, no goodbye either.
    package mutating func abort() {
        output.removeAll(keepingCapacity: true)
        outputSent = 0
        state.mustAbort()
    }

    /// The response is in `output`, whole. With `isStopping` no further request is read, but one that has arrived is answered.
    package mutating func responseFinished(isStopping: Bool = false) -> ServerConnectionState.AfterResponse {
        body = BodyDecoder(framing: .none)
        responseEnd = .distantFuture
        if watch.standing == .busy { watch.standing = .idle }
        let next = state.responseFinished()
        // The drain may have begun after the response said that the connection goes on, while a body was read away.
        if isStopping, next == .readNextRequest, drainBegan() == .closeNow { return .closeGracefully }
        return next
    }

    /// Ends the connection so that the last response arrives: close_notify, FIN, then a bounded wait for the client's,
    /// reading away what it still sends (RFC 9112, section 9.6). Without that wait the kernel would reset the
    /// connection, and the reset may overtake the response.
    package mutating func closeGracefully() async {
        guard await flush() else { return }
        stream.finishWriting()
        // A client that is sending a large body reads the answer only when it is through, or has seen enough: reading away
        // costs little, but neither the amount nor the time is without end.
        let end = loop.now + .seconds(30)
        var left = watch.standing == .evicted ? 0 : 64 << 20
        // To the very end, also where the client has closed its side already: closing a socket with unread bytes in it
        // resets the connection.
        while left > 0 {
            start = 0
            self.end = 0
            let deadline = min(end, loop.now + .seconds(5))
            guard case .bytes = await fill(before: deadline, interruptible: true) else { return }
            left -= self.end
        }
    }

    /// This answer, or the one that ended last, is the last of the connection.
    @discardableResult
    package mutating func drainBegan() -> ServerConnectionState.AfterDrain {
        // The next request is here already: it gets its answer, which says that it is the last.
        if end > start, state.isIdle { state.receivedBytes() }
        return state.drainBegan()
    }

    /// The TLS session was resumed from a ticket.
    package var isResumed: Bool { mutating get { stream.isResumed() } }
}

extension [UInt8] {
    fileprivate mutating func moveToFront(_ range: Range<Int>) {
        for (target, source) in range.enumerated() { self[target] = self[source] }
    }
}
