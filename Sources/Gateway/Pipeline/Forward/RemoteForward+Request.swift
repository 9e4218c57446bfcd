internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

// Sending the request. Its body is forwarded at the pace of the slower side.
extension RemoteForward {
    /// Sends head and body as far as the kernel accepts them, which is nearly always all of it.
    func beginSending(
        _ body: ForwardedBody, over upstream: UpstreamConnection
    ) throws(RelayFailure) -> UpstreamConnection.Sent {
        guard case .whole(let bytes) = body else { return .blocked }
        upstream.requestFinished(with: bytes)
        do throws(UpstreamConnectionError) { return try upstream.tryFlush() } catch { throw .upstream(error) }
    }

    /// Sends the rest of the request. Returns `true` if the response begins before that; the rest is then not sent.
    @inline(never)
    func sendRest(
        of body: ForwardedBody, after sent: UpstreamConnection.Sent, for grant: Grant,
        over upstream: UpstreamConnection,
        _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) async throws(RelayFailure) -> Bool {
        if sent == .answered {
            guard try await passOnInterim(upstream, watch, &stream) else { return true }
        }
        guard case .streamed(let framing, let begun) = body else {
            return try await flush(for: grant, over: upstream, watch, &stream)
        }
        return try await passOnBody(framing, begun, for: grant, over: upstream, watch, &stream, &exchange)
    }

    /// Forwards the body while it arrives. The client is read only as fast as the upstream takes the body.
    private func passOnBody(
        _ framing: ForwardedFraming, _ begun: [UInt8], for grant: Grant, over upstream: UpstreamConnection,
        _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) async throws(RelayFailure) -> Bool {
        let limit = grant.route.maxBodyBytes
        var rate = BodyRate(stream.timeouts)
        if framing == .chunked {
            upstream.output.append(chunk: begun.span, begun.indices)
        } else {
            upstream.output += begun
        }
        if try await flush(for: grant, over: upstream, watch, &stream) { return true }
        while !upstream.hasSentRequest {
            let asked = loop.now
            guard asked < stream.responseEnd else { throw .upstream(.deadlinePassed) }
            switch await stream.nextBodyPiece(unlessReadable: upstream.watch) {
            case .bytes(let range):
                guard rate.received(range.count, after: loop.now - asked) else {
                    throw .request(Failure(.bodyTimeout, at: .forward))
                }
                exchange.bodyBytes += range.count
                guard exchange.bodyBytes <= limit else {
                    throw .request(Failure(.bodyTooLarge(limit: limit), at: .forward))
                }
                stream.request.appendBody(range, asChunk: framing == .chunked, to: &upstream.output)
            case .end:
                if framing == .chunked { upstream.output += ChunkedCoding.lastChunk + HTTP1Line.end }
                upstream.requestFinished()
            case .answered:
                if try await hasResponse(upstream, watch, &stream) { return true }
                continue
            case .malformed(let error): throw .request(Failure(.framing(error), at: .forward))
            case .timedOut: throw .request(Failure(.bodyTimeout, at: .forward))
            case .closed: throw .request(Failure(.bodyIncomplete, at: .forward))
            }
            if try await flush(for: grant, over: upstream, watch, &stream) { return true }
            // A client that always has more to send must not delay the response.
            if upstream.watch.isReadable, try await hasResponse(upstream, watch, &stream) { return true }
        }
        return false
    }

    /// Sends the pending part of the request. Returns `true` if the response began first.
    private func flush(
        for grant: Grant, over upstream: UpstreamConnection, _ watch: SocketReadiness?,
        _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) -> Bool {
        while true {
            let timeout = min(client.bodyProgress(of: grant.route), stream.responseEnd - loop.now)
            do throws(UpstreamConnectionError) {
                guard try await upstream.flush(within: timeout, unlessClosing: watch) == .answered else {
                    return false
                }
            } catch { throw .upstream(error) }
            guard try await passOnInterim(upstream, watch, &stream) else { return true }
        }
    }

    /// Whether the final response has begun. Interim responses before it are relayed.
    private func hasResponse(
        _ upstream: UpstreamConnection, _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) -> Bool {
        while true {
            do throws(UpstreamConnectionError) { guard try upstream.tryHead() else { return false } } catch {
                throw .upstream(error)
            }
            guard try await passOnInterim(upstream, watch, &stream) else { return true }
        }
    }

    /// Relays an interim response. Returns `false` if the current head is that of the final response.
    @inline(never)
    private func passOnInterim(
        _ upstream: UpstreamConnection, _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) -> Bool {
        guard upstream.status < 200 else { return false }
        // If the client waited for `100 Continue`, the gateway has already sent it.
        guard upstream.status != 100, stream.writeInterim(of: upstream) else { return true }
        // A request with a lease goes on until its response, even if the client has left.
        guard await stream.flush() || watch == nil else { throw .request(Failure(.clientGone, at: .forward)) }
        return true
    }

    /// Waits for the head of the final response. Interim responses before it are relayed (RFC 9110, section 15.2).
    func awaitResponse(
        over upstream: UpstreamConnection, before deadline: Instant, _ watch: SocketReadiness?,
        _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) {
        while true {
            do throws(UpstreamConnectionError) {
                while try !upstream.tryHead() {
                    try await upstream.awaitBytes(before: deadline, unlessClosing: watch)
                }
            } catch { throw .upstream(error) }
            guard upstream.status < 200 else { return }
            guard try await passOnInterim(upstream, watch, &stream) else { return }
        }
    }
}
