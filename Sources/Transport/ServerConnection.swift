package import Crypto
package import HTTP

/// One client's connection: drives the codec over a socket for the one task that owns it.
///
/// Noncopyable and not `Sendable`: a local variable of its task, made, used and dropped on its loop. That way no reference
/// is counted and no access checked on the path of a request.
package struct ServerConnection: ~Copyable {
    private let inPlace = InPlace()
    package let loop: EventLoop
    package let peer: String
    private let socket: Socket
    /// Tells whether the client is still there while others are waited for.
    package let watch: SocketWatch
    private var stream: ByteStream
    private let timeouts: ServerTimeouts
    private let idlePatience: Patience
    private let context: TLSContext?
    /// After this the current request is the last one.
    private let endOfLife: Instant

    package private(set) var state: ConnectionState
    private var parser: HeadParser

    /// The current request. Its ranges count from `headStart` in `input`.
    package private(set) var head = RequestHead()
    /// Received bytes in `start..<end`; given back to the loop while nothing is in it.
    package private(set) var input: [UInt8] = []
    package private(set) var headStart = 0
    private var start = 0
    private var end = 0
    private var body: BodyReader = BodyReader(framing: .none)

    /// What is to be sent: responses are appended here, `flush` sends them. Responses to pipelined requests leave
    /// together.
    package var output: [UInt8] = []
    /// How much of `output` is on its way already; zero but while a flush waits.
    private var outputSent = 0
    /// A part of what was to be sent may have left, and the rest will not: nothing may follow it.
    private var hasFailedToSend = false
    package private(set) var bytesSent = 0

    init(
        loop: EventLoop, socket descriptor: Int32, context: TLSContext?, settings: Listener.Settings
    ) throws {
        let socket = Socket(owning: descriptor)
        let stream = try ByteStream(server: context, socket: descriptor)
        watch = try loop.watch(descriptor)
        self.loop = loop
        self.socket = socket
        self.stream = stream
        self.context = context
        peer = peerAddress(of: descriptor)
        timeouts = settings.timeouts
        idlePatience = Patience(settings.timeouts.idle)
        endOfLife = settings.maximumAge.map { loop.now + $0 } ?? .distantFuture
        state = ConnectionState(maximumRequests: settings.maximumRequestsPerConnection)
        parser = HeadParser(limits: settings.headLimits)
    }

    deinit {
        loop.unwatch(watch)
        loop.buffers.giveBack(input)
    }

    package enum HandshakeOutcome: Equatable {
        case done
        /// The peer sent something readable that is not TLS; it can be answered with `sendPlainText`.
        case plainText
        case failed(TLSError)
        case timedOut
    }

    package mutating func handshake() async -> HandshakeOutcome {
        guard context != nil else { return .done }
        let deadline = loop.now + timeouts.handshake
        do {
            while true {
                var readiness = Readiness.ready
                switch try stream.handshake() {
                case .done: return .done
                case .wantsRead, .closedByPeer:
                    readiness = await watch.readable(before: deadline)
                    stream.socketBecameReadable(closing: watch.isPeerClosing)
                case .wantsWrite: readiness = await watch.writable(before: deadline)
                }
                guard readiness == .ready else { return .timedOut }
            }
        } catch {
            return stream.peerSpeaksPlainText() ? .plainText : .failed(error)
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
        var deadline = loop.now + idlePatience
        // Small responses to pipelined requests leave together; large ones must not pile up at a client that asks for
        // many and reads none.
        if output.count >= ServerConnection.recordBytes, !sendAtOnce() {
            guard await flush() else { return .closed }
        }
        while true {
            if end > start {
                state.receivedBytes()
                do throws(HeadError) {
                    if try parseHead() {
                        beginExchange()
                        return .request
                    }
                } catch {
                    parser.reset()
                    headStart = start
                    state.receivedGarbage()
                    return .malformed(error)
                }
            }
            if !sendAtOnce() {
                guard await flush() else { return .closed }
            }
            if !state.isIdle, !isInHead {
                isInHead = true
                deadline = loop.now + timeouts.head
            }
            switch await fill(before: deadline, interruptible: state.isIdle) {
            case .bytes: continue
            case .deadlinePassed where !state.isIdle:
                state.receivedGarbage()
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
        let received = input
        return try parser.parse(received.span.extracting(start..<end), into: &head)
    }

    private mutating func beginExchange() {
        headStart = start
        start += head.end
        body = BodyReader(framing: head.framing)
        state.receivedHead(head)
        if loop.now > endOfLife { state.mustClose() }
    }

    private enum Fill { case bytes, deadlinePassed, closed, broken, interrupted }

    /// Reads at least one byte to `input[end...]`.
    private mutating func fill(
        before deadline: Instant, interruptible: Bool, unlessReadable other: SocketWatch? = nil
    ) async -> Fill {
        while true {
            var progress = TLSProgress.wantsRead
            if !stream.isKnownEmpty() {
                makeRoom()
                do throws(TLSError) { progress = try stream.read(into: &input, from: end) } catch { return .broken }
            }
            switch progress {
            case .done(let bytes):
                end += bytes
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

    /// Sees to it that there is room to read into. Between requests what is left moves to the front; during an
    /// exchange the head stays, and the room behind it is used for the body again and again.
    private mutating func makeRoom() {
        if input.isEmpty {
            input = loop.buffers.takeSmall()
            head.lend(loop.buffers.takeFields())
            start = 0
            end = 0
        }
        let isExchange = !state.isIdle && body.isActive
        if isExchange {
            if input.count < BufferPools.largeBytes { moveToLargeBuffer() }
            if start == end {
                // A head that ends near the buffer's end would leave room for a byte at a time.
                if headStart > 0, input.count - headStart - head.end < BufferPools.smallBytes {
                    input.moveToFront(headStart..<headStart + head.end)
                    headStart = 0
                }
                start = headStart + head.end
                end = start
                if input.count - end < BufferPools.smallBytes {
                    input.append(contentsOf: repeatElement(0, count: BufferPools.largeBytes))
                }
            }
        } else if start == end {
            start = 0
            end = 0
        } else if start > 0, input.count - end < 4096 {
            input.moveToFront(start..<end)
            end -= start
            start = 0
        }
        if end == input.count { input.append(contentsOf: repeatElement(0, count: input.count)) }
    }

    /// There is more of the body than came with the head.
    private mutating func moveToLargeBuffer() {
        var buffer = loop.buffers.takeLarge()
        buffer.replaceSubrange(0..<end, with: input[0..<end])
        loop.buffers.giveBack(input)
        input = buffer
    }

    private mutating func giveBackBuffers() {
        loop.buffers.giveBack(output: &output)
        guard !input.isEmpty else { return }
        loop.buffers.giveBack(input)
        loop.buffers.giveBack(fields: head.takeRoom())
        input = []
        start = 0
        end = 0
    }

    package enum BodyPiece: Equatable {
        /// Body bytes, as a range of `input`; good until the next call.
        case bytes(Range<Int>)
        case end
        case malformed(FramingError)
        case timedOut
        case closed
        /// There is something to read at the upstream.
        case answered
    }

    /// The next piece of the request's body, unless there is something to read at `upstream` before it comes. Tells a client
    /// that waits for `100 Continue` to go on.
    package mutating func nextBodyPiece(unlessReadable upstream: SocketWatch? = nil) async -> BodyPiece {
        // A client that has begun to send does not need to be told (RFC 9110, section 10.1.1).
        if head.expectsContinue, !body.hasStarted, start == end {
            output.append(contentsOf: ServerConnection.continueLine)
        }
        body.hasStarted = true
        while true {
            do throws(FramingError) {
                switch try decodeBody() {
                case .data(let range): return .bytes(range)
                case .end:
                    state.bodyFinished()
                    return .end
                case .needsMore: break
                }
            } catch {
                state.mustClose()
                return .malformed(error)
            }
            // Nor do the responses to the requests before this one wait for its body.
            guard await flush() else {
                state.mustClose()
                return .closed
            }
            switch await fill(before: loop.now + timeouts.body, interruptible: false, unlessReadable: upstream) {
            case .bytes: continue
            case .interrupted where upstream != nil: return .answered
            case .deadlinePassed, .interrupted:
                state.mustClose()
                return .timedOut
            case .closed, .broken:
                state.mustClose()
                return .closed
            }
        }
    }

    private mutating func decodeBody() throws(FramingError) -> BodyReader.Step {
        let received = input
        return try body.next(received.span, from: &start, to: end)
    }

    private static let continueLine = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// A copy of a part of the head.
    package func bytes(_ range: Range<Int>) -> [UInt8] {
        Array(input[headStart + range.lowerBound..<headStart + range.upperBound])
    }

    package func text(_ range: Range<Int>) -> String { String(decoding: bytes(range), as: UTF8.self) }

    /// Appends a piece that `nextBodyPiece` gave.
    package func copyBody(_ range: Range<Int>, to body: inout [UInt8]) { body += input[range] }

    /// Whether a body that nobody wanted is short enough to be read away after the response, so that the connection can
    /// go on. A client that waits for `100 Continue` may never send it.
    package var canDiscardBody: Bool {
        guard body.isActive else { return true }
        return (!head.expectsContinue || body.hasStarted) && (body.announced ?? 0) <= ServerConnection.discardLimit
    }

    /// Part of the request's body has not been read.
    package var hasUnreadBody: Bool { body.isActive }

    private static let discardLimit: UInt64 = 65_536

    /// Sends the response and then reads away what is left of the request's body.
    package mutating func discardBody() async {
        guard body.isActive else { return }
        guard await flush() else { return state.mustClose() }
        var left = Int(ServerConnection.discardLimit)
        // A body of just the limit still has its end to be read.
        while left >= 0 {
            switch await nextBodyPiece() {
            case .bytes(let range): left -= range.count
            case .end: return
            case .malformed, .timedOut, .closed, .answered: left = -1
            }
        }
        state.mustClose()
    }

    /// A response is about to be appended to `output`.
    package mutating func responseStarted(discardsBody: Bool = false) {
        if output.capacity == 0 { output = loop.buffers.takeOutput() }
        state.responseStarted(discardsBody: discardsBody)
    }

    package mutating func mustClose() { state.mustClose() }

    /// The response ended early, and the client must see that: nothing more is sent, no goodbye either.
    package mutating func cut() {
        output.removeAll(keepingCapacity: true)
        outputSent = 0
        state.mustCut()
    }

    /// The response is in `output`, whole.
    package mutating func responseFinished() -> ConnectionState.AfterResponse {
        body = BodyReader(framing: .none)
        return state.responseFinished()
    }

    /// Sends `output`. `false` when the client is gone or took too long.
    package mutating func flush() async -> Bool {
        if sendAtOnce() { return true }
        let isSent = await send(output, in: outputSent..<output.count)
        if !isSent { failedToSend() }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        return isSent
    }

    /// Sends what of `output` fills TLS records; the rest waits for what comes after it.
    package mutating func flushFullRecords() async -> Bool {
        let end = output.count - output.count % ServerConnection.recordBytes
        if !sendAtOnce(to: end) {
            guard await send(output, in: outputSent..<end) else {
                failedToSend()
                return false
            }
        }
        output.removeSubrange(0..<end)
        outputSent = 0
        return true
    }

    /// OpenSSL would take what is sent next for the rest of what it could not send.
    private mutating func failedToSend() {
        hasFailedToSend = true
        state.mustCut()
    }

    /// How much a TLS record holds (RFC 8446, section 5.1).
    package static let recordBytes = 16_384

    /// Sends as much of `output` as the kernel takes now, which nearly always is all of it. Whether it was.
    private mutating func sendAtOnce() -> Bool {
        guard sendAtOnce(to: output.count) else { return false }
        outputSent = 0
        output.removeAll(keepingCapacity: output.capacity <= 65_536)
        return true
    }

    private mutating func sendAtOnce(to end: Int) -> Bool {
        guard !hasFailedToSend else { return false }
        while outputSent < end {
            guard case .done(let count)? = try? stream.write(output, from: outputSent, to: end) else { return false }
            bytesSent += count
            outputSent += count
        }
        return true
    }

    /// Sends `output`, then `bytes`, or a part of them, without copying them.
    package mutating func flush(then bytes: [UInt8], in range: Range<Int>? = nil) async -> Bool {
        guard await flush() else { return false }
        let isSent = await send(bytes, in: range ?? 0..<bytes.count)
        if !isSent { failedToSend() }
        return isSent
    }

    private mutating func send(_ bytes: [UInt8], in range: Range<Int>) async -> Bool {
        guard !hasFailedToSend else { return false }
        var sent = range.lowerBound
        while sent < range.upperBound {
            let progress: TLSProgress
            do throws(TLSError) { progress = try stream.write(bytes, from: sent, to: range.upperBound) } catch {
                return false
            }
            switch progress {
            case .done(let count):
                sent += count
                bytesSent += count
            case .wantsWrite:
                guard await watch.writable(before: loop.now + timeouts.write) == .ready else { return false }
            case .wantsRead:
                guard await watch.readable(before: loop.now + timeouts.write) == .ready else { return false }
                stream.socketBecameReadable(closing: watch.isPeerClosing)
            case .closedByPeer: return false
            }
        }
        return true
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
        var left = 64 << 20
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

    package mutating func drainBegan() -> ConnectionState.AfterDrain { state.drainBegan() }

    /// The TLS session was resumed from a ticket.
    package var isResumed: Bool { mutating get { stream.isResumed() } }
}

extension [UInt8] {
    fileprivate mutating func moveToFront(_ range: Range<Int>) {
        for (target, source) in range.enumerated() { self[target] = self[source] }
    }
}
