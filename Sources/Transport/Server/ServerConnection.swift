package import Crypto
package import HTTP

/// One client's connection. It drives the codec over a socket for the ``RequestLoop`` that owns it.
///
/// Noncopyable and not `Sendable`: it is made, used and dropped on its loop, and lent to whoever works on its request. That way
/// no reference to it is counted on the path of a request.
package struct ServerConnection: ~Copyable {
    private let inPlace = AddressPin()
    package let loop: EventLoop
    package var now: Instant { loop.now }
    private let socket: Socket
    /// This tells whether the client is still there while something else is waited for.
    package let watch: SocketReadiness
    var stream: ByteStream
    package let timeouts: ServerTimeouts
    private let idleTimeout: Timeout
    private let context: TLSContext?
    /// A request that ends after this time is the last one.
    private let endOfLife: Instant

    package internal(set) var state: ServerConnectionState
    private var parser: RequestHeadParser
    private var search = Search()

    /// The current request. Its input goes back to the loop while nothing is in it.
    package internal(set) var currentRequest: Request
    /// The bytes that were received and not used yet are `start..<end` of the request's input.
    var start = 0
    var end = 0
    var body: BodyDecoder = BodyDecoder(framing: .none)

    /// The TLS session keeps its buffers between reads and writes, because requests follow one another. A connection that
    /// rests gives them up.
    private var keepsSessionBuffers = false
    /// After this time without a request, a connection rests.
    private static let timeToRest = Timeout(.seconds(1))
    /// In a drain, a connection without a request ends after this time.
    private static let idleTimeInDrain = Timeout(.seconds(1))

    /// The bytes to be sent. Responses are appended here, and `flush` sends them. Responses to pipelined requests leave
    /// together.
    package var output: [UInt8] = []
    /// The number of bytes of `output` that were sent already. This is zero, except while a flush waits.
    var outputSent = 0
    /// Sending failed. A part of the bytes may have left without the rest, so nothing may follow them.
    var hasFailedToSend = false
    /// The body of the response under way is written in chunks (RFC 9112, section 7.1). The writer of the head sets this.
    package var writesChunks = false
    /// The number of bytes that were sent so far, with the framing of responses but without TLS.
    package internal(set) var bytesSent = 0
    /// The deadline of the response under way. After it, nothing more of the response is sent.
    package var responseEnd = Instant.distantFuture
    /// The owner of the share that its work uses up. It is the client's address until organization and token are known.
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
        if keepsSessionBuffers { loop.buffers.giveBackSession() }
    }

    /// The result of a handshake. It is also `timedOut` if the connection was evicted, or if the client left while it
    /// waited for its turn.
    package enum HandshakeOutcome: Equatable {
        case done
        /// The handshake failed, and the peer's first byte is a letter, as in plain HTTP. `sendPlainText` can answer it.
        case plainText
        case failed(TLSError)
        case timedOut
    }

    /// A part of a handshake counts as so many steps, because it takes as long as so many reads, or longer.
    private static let stepsOfHandshake = 16

    /// Makes the TLS handshake within `timeouts.handshake`, with waits for turns. Returns `done` at once for plain
    /// HTTP.
    package mutating func handshake() async -> HandshakeOutcome {
        guard context != nil else { return .done }
        let deadline = loop.now + timeouts.handshake
        do {
            while true {
                var readiness = Readiness.ready
                // A client that begins many at once waits for its turn with each.
                if loop.isTurnOver(of: owner, steps: ServerConnection.stepsOfHandshake) {
                    loop.waitingHandshakes += 1
                    await nextTurn()
                    loop.waitingHandshakes -= 1
                    // A client that has left meanwhile, or was evicted, needs no handshake any more.
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

    /// Sends bytes without TLS, as many as the kernel takes now, and ends the sending side.
    package mutating func sendPlainText(_ bytes: [UInt8]) { stream.sendPlainText(bytes) }

    /// How far a connection is on its way to its next request.
    enum NextRequest: Equatable {
        /// It is here, and to be answered.
        case request
        /// Bytes came that are no request. They can be answered, and then the connection ends.
        case unreadable(UnreadableRequest)
        /// Others have their turn before it goes on.
        case otherTurn
        /// What is written has to leave before it goes on, and the client does not take it now.
        case unsent
        /// The socket has to be ready for this before it goes on.
        case needs(ReadinessEvents)
        /// The connection is over: closed, broken, idle for too long, or idle while draining.
        case closed
    }

    /// What is known of the next request while it is looked for.
    private struct Search {
        /// The end of the time for its first byte, and once that has come, of the time for the head. `nil` before the search.
        var deadline: Instant?
        /// Part of its head has come, and `deadline` is that of the head.
        var isInHead = false
        /// Bytes were read for it. Each read asks whether the turn is over.
        var hasRead = false
        /// It is here.
        var isOver = false
    }

    /// Goes on looking for the next request, after the wait that the last call asked for.
    mutating func nextRequest(after readiness: Readiness) -> NextRequest {
        switch readiness {
        case .ready:
            stream.socketBecameReadable(closing: watch.isPeerClosing)
            return nextRequest()
        case .deadlinePassed where keepsSessionBuffers && loop.now < search.deadline ?? .distantFuture:
            rest()
            return nextRequest()
        case .deadlinePassed where !state.isIdle:
            state.headFailed()
            return .unreadable(.timedOut)
        case .deadlinePassed, .interrupted, .abandoned: return endIdle()
        }
    }

    /// Looks for the next request as far as that is possible without waiting: sends what is written, reads, and parses.
    mutating func nextRequest() -> NextRequest {
        if search.isOver { return .request }
        if search.deadline == nil { search.deadline = loop.now + idleTimeout }
        // Small responses to pipelined requests leave together; large ones must not pile up at a client that asks for
        // many and reads none.
        if output.count >= ServerConnection.recordBytes, !trySend() { return .unsent }
        while true {
            if end > start {
                state.receivedBytes()
                do throws(HeadError) {
                    if try parseHead() {
                        beginExchange()
                        return !search.hasRead && isTurnOver() ? .otherTurn : .request
                    }
                } catch {
                    parser.reset()
                    currentRequest.headStart = start
                    state.headFailed()
                    return .unreadable(.malformed(error))
                }
            }
            if !trySend() { return .unsent }
            if !state.isIdle, !search.isInHead {
                search.isInHead = true
                search.deadline = loop.now + timeouts.head
            }
            switch tryFill() {
            case .bytes:
                search.hasRead = true
                if isTurnOver() { return .otherTurn }
            case .needs(let events): return .needs(events)
            case .closed: return endIdle()
            case .broken: return .closed
            }
        }
    }

    /// Waits without a task until the search for the next request can go on. If it can already, returns `false`.
    func park(_ waiter: any LoopWaiter, for events: ReadinessEvents) -> Bool {
        let end = search.deadline ?? .distantFuture
        var deadline = end
        if keepsSessionBuffers, state.isIdle { deadline = min(deadline, loop.now + ServerConnection.timeToRest) }
        return watch.park(waiter, for: events, before: deadline, idleUntil: end, interruptible: state.isIdle)
    }

    /// The loop drains. A client that has just connected gets a moment to send its request: after a handshake it may be on
    /// its way, and a client that loses the request of a new connection does not send it again.
    mutating func limitIdleTime() {
        guard state.isIdle, let deadline = search.deadline else { return }
        search.deadline = min(deadline, loop.now + ServerConnection.idleTimeInDrain)
    }

    /// Gives up what only a connection with many requests needs.
    private mutating func rest() {
        keepsSessionBuffers = false
        loop.buffers.giveBackSession()
        stream.releaseBuffers()
    }

    /// Ends the connection between requests. TLS says so too: to the client an end without it looks like an attack (RFC 8446,
    /// section 6.1).
    private mutating func endIdle() -> NextRequest {
        stream.finishWriting()
        return .closed
    }

    private mutating func parseHead() throws(HeadError) -> Bool {
        // The array's own reference: a span of `self` could not be read while `head` is written.
        let received = currentRequest.input
        return try parser.parse(received.span.extracting(start..<end), into: &currentRequest.head)
    }

    private mutating func beginExchange() {
        search.isOver = true
        currentRequest.headStart = start
        start += currentRequest.head.end
        // Without a body, the decoder is still the one of no body.
        if !currentRequest.head.framing.isNone { body = BodyDecoder(framing: currentRequest.head.framing) }
        state.receivedHead(currentRequest.head)
        if watch.standing != .notAClients { watch.standing = .busy }
        if loop.now > endOfLife { state.mustClose() }
        if !keepsSessionBuffers, context != nil, TLSSession.canKeepBuffers, loop.buffers.takeSession() {
            keepsSessionBuffers = true
            stream.keepBuffers()
        }
    }

    enum Reading {
        case bytes
        /// Nothing is here to be read.
        case needs(ReadinessEvents)
        case closed, broken
    }

    /// Reads at least one byte to `input[end...]`, if one is here.
    private mutating func tryFill() -> Reading {
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
            return .bytes
        case .closedByPeer: return .closed
        case .wantsRead:
            if start == end, state.isIdle { giveBackBuffers() }
            return .needs(.readable)
        case .wantsWrite: return .needs(.writable)
        }
    }

    enum Fill { case bytes, deadlinePassed, closed, broken, interrupted }

    /// Waits for at least one byte, and reads to `input[end...]`.
    mutating func fill(
        before deadline: Instant, interruptible: Bool, unlessReadable other: SocketReadiness? = nil
    ) async -> Fill {
        while true {
            switch tryFill() {
            case .bytes:
                if isTurnOver() { await nextTurn() }
                return .bytes
            case .closed: return .closed
            case .broken: return .broken
            case .needs(.writable):
                guard await watch.writable(before: deadline) == .ready else { return .deadlinePassed }
            case .needs:
                let readiness =
                    if let other { await watch.readable(before: deadline, unlessReadable: other) } else {
                        await watch.readable(before: deadline, interruptible: interruptible)
                    }
                switch readiness {
                case .ready: stream.socketBecameReadable(closing: watch.isPeerClosing)
                case .deadlinePassed: return .deadlinePassed
                case .interrupted, .abandoned: return .interrupted
                }
            }
        }
    }

    /// Whether this connection has to let others go first before its next step. Ask this once for each step: a client that
    /// always has more to send, or takes everything at once, must not keep the loop for itself.
    package func isTurnOver() -> Bool { loop.isTurnOver(of: owner) }

    /// Waits until it is this connection's turn again.
    package func nextTurn() async { await loop.nextTurn(of: owner) }

    /// Makes room to read into. Between requests, the bytes that are left move to the front. During an exchange the head
    /// stays, and the room behind it is used for the body again and again.
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

    /// Takes a larger buffer, for a body that did not come with its head.
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

    /// Call this before a response is appended to `output`.
    package mutating func responseStarted(discardsBody: Bool = false) {
        if output.capacity == 0 { output = loop.buffers.takeOutput() }
        state.responseStarted(discardsBody: discardsBody)
    }

    /// The current response is the last one of the connection.
    package mutating func mustClose() { state.mustClose() }

    /// Ends the response early in a way that the client can see: nothing more is sent, not even a close_notify.
    package mutating func abort() {
        output.removeAll(keepingCapacity: true)
        outputSent = 0
        state.mustAbort()
    }

    /// The whole response is in `output`. With `isStopping` no further request is read, but one that has arrived is answered.
    package mutating func responseFinished(isStopping: Bool = false) -> ServerConnectionState.AfterResponse {
        search = Search()
        if body.hasStarted || body.isActive { body = BodyDecoder(framing: .none) }
        responseEnd = .distantFuture
        if watch.standing == .busy { watch.standing = .idle }
        let next = state.responseFinished()
        // The drain may have begun after the response said that the connection goes on, while a body was read and dropped.
        if isStopping, next == .readNextRequest, drainBegan() == .closeNow { return .closeGracefully }
        return next
    }

    /// Ends the connection in a way that lets the last response arrive. It sends close_notify and FIN, then waits a bounded
    /// time for the client's FIN, and drops what the client still sends (RFC 9112, section 9.6). Without that wait the kernel
    /// would reset the connection, and the reset may overtake the response.
    package mutating func closeGracefully() async {
        guard await flush() else { return }
        stream.finishWriting()
        // A client that is sending a large body may read the response only when it has sent it all. To read and drop it
        // costs little, but the amount and the time have a bound.
        let end = loop.now + .seconds(30)
        var left = watch.standing == .evicted ? 0 : 64 << 20
        // Read to the very end, also where the client has closed its side already: to close a socket with unread bytes
        // resets the connection.
        while left > 0 {
            start = 0
            self.end = 0
            let deadline = min(end, loop.now + .seconds(5))
            guard case .bytes = await fill(before: deadline, interruptible: true) else { return }
            left -= self.end
        }
    }

    /// Makes this response, or the one that ended last, the last of the connection.
    @discardableResult
    package mutating func drainBegan() -> ServerConnectionState.AfterDrain {
        // If the next request is here already, it gets its response, which says that it is the last.
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
