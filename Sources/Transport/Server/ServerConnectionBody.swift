package import HTTP

/// A step of reading a request's body.
package enum RequestBodyPiece: Equatable {
    /// Some bytes, as a range for `Request.appendBody`. The range is good until the next call.
    case bytes(Range<Int>)
    case end
    case malformed(FramingError)
    case timedOut
    case closed
    /// There is something to read at the upstream.
    case answered
}

// Reading the body of a request, piece by piece.
extension ServerConnection {
    /// The next piece of the request's body, unless there is something to read at `upstream` before it comes. Tells a client
    /// that waits for `100 Continue` to go on.
    package mutating func nextBodyPiece(unlessReadable upstream: SocketReadiness? = nil) async -> RequestBodyPiece {
        // A client that has begun to send does not need to be told (RFC 9110, section 10.1.1).
        if currentRequest.head.expectsContinue, !body.hasStarted, start == end {
            output.append(contentsOf: ServerConnection.continueLine)
        }
        body.hasStarted = true
        // Many pieces of a body, each of one byte, may have come at once. So each is a step.
        if isTurnOver() { await nextTurn() }
        var progress: Instant?
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
            // The responses to the requests before this one do not wait for its body.
            guard await flush() else {
                state.mustClose()
                return .closed
            }
            // The framing of a body is no progress: it may come for ever without a byte of the body.
            let nextPiece = progress ?? loop.now + timeouts.body
            progress = nextPiece
            let wholeBody = body.deadline ?? loop.now + timeouts.wholeBody
            body.deadline = wholeBody
            let deadline = min(nextPiece, wholeBody)
            guard loop.now < deadline else {
                state.mustClose()
                return .timedOut
            }
            switch await fill(before: deadline, interruptible: false, unlessReadable: upstream) {
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

    private mutating func decodeBody() throws(FramingError) -> BodyDecoder.Step {
        let received = currentRequest.input
        return try body.next(received.span, from: &start, to: end)
    }

    private static let continueLine = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// Whether an unread body is short enough to be read and dropped after the response, so that the connection can go on. A
    /// client that waits for `100 Continue` may never send it.
    package var canDiscardBody: Bool {
        guard body.isActive else { return true }
        return (!currentRequest.head.expectsContinue || body.hasStarted)
            && (body.announced ?? 0) <= ServerConnection.discardLimit
    }

    /// Part of the request's body has not been read.
    package var hasUnreadBody: Bool { body.isActive }

    private static let discardLimit: UInt64 = 65_536

    /// Sends the response, and then reads and drops the rest of the request's body.
    package mutating func discardBody() async {
        guard body.isActive else { return }
        guard await flush() else { return state.mustClose() }
        // The client has its response, so where room is short, others come first.
        if watch.standing == .busy { watch.standing = .idle }
        var left = Int(ServerConnection.discardLimit)
        // Of a body of exactly the limit, the end is still to be read.
        while left >= 0 {
            switch await nextBodyPiece() {
            case .bytes(let range): left -= range.count
            case .end: return
            case .malformed, .timedOut, .closed, .answered: left = -1
            }
        }
        state.mustClose()
    }
}
