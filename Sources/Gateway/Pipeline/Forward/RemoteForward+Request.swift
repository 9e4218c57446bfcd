internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

// The way out: the request is sent, its body at the pace at which the client gives it and the upstream takes it.
extension RemoteForward {
    /// Sends head and body as far as the kernel takes them; nearly always that is all there is to do.
    func beginSending(
        _ body: ForwardedBody, over upstream: UpstreamConnection
    ) throws(RelayFailure) -> UpstreamConnection.Sent {
        guard case .whole(let bytes) = body else { return .blocked }
        upstream.requestFinished(with: bytes)
        do throws(UpstreamConnectionError) { return try upstream.tryFlush() } catch { throw .upstream(error) }
    }

    /// Whether the answer has begun before the request was through: the rest of it is not wanted then.
    @inline(never)
    func goOnSending(
        _ body: ForwardedBody, after sent: UpstreamConnection.Sent, for grant: Grant, over upstream: UpstreamConnection,
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

    /// Passes the body on as it comes; the client is not read faster than the upstream takes it.
    private func passOnBody(
        _ framing: ForwardedFraming, _ begun: [UInt8], for grant: Grant, over upstream: UpstreamConnection,
        _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable,
        _ exchange: inout Exchange
    ) async throws(RelayFailure) -> Bool {
        let limit = grant.route.maxBodyBytes
        var pace = BodyPace(stream.timeouts)
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
                guard pace.received(range.count, after: loop.now - asked) else {
                    throw .request(Failure(.bodyTimeout, at: .forward))
                }
                exchange.bodyBytes += range.count
                guard exchange.bodyBytes <= limit else {
                    throw .request(Failure(.bodyTooLarge(limit: limit), at: .forward))
                }
                stream.request.appendBody(range, asChunk: framing == .chunked, to: &upstream.output)
            case .end:
                if framing == .chunked { upstream.output += ChunkedCoding.lastChunk + ForwardedFields.lineEnd }
                upstream.requestFinished()
            case .answered:
                if try await hasResponse(upstream, watch, &stream) { return true }
                continue
            case .malformed(let error): throw .request(Failure(.framing(error), at: .forward))
            case .timedOut: throw .request(Failure(.bodyTimeout, at: .forward))
            case .closed: throw .request(Failure(.bodyIncomplete, at: .forward))
            }
            if try await flush(for: grant, over: upstream, watch, &stream) { return true }
            // A client that always has more must not keep its answer from being seen.
            if upstream.watch.isReadable, try await hasResponse(upstream, watch, &stream) { return true }
        }
        return false
    }

    /// Sends what there is of the request. Whether the answer came first.
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

    /// Whether the answer is here. An interim one before it goes to the client.
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

    /// `false` where the head is that of the answer proper.
    @inline(never)
    private func passOnInterim(
        _ upstream: UpstreamConnection, _ watch: SocketReadiness?, _ stream: inout some ClientStream & ~Copyable
    ) async throws(RelayFailure) -> Bool {
        guard upstream.status < 200 else { return false }
        // The gateway has said `100 Continue` itself where the client waited for it.
        guard upstream.status != 100, stream.writeInterim(of: upstream) else { return true }
        // A request with a lease is followed to its answer, also when nobody waits for that any more.
        guard await stream.flush() || watch == nil else { throw .request(Failure(.clientGone, at: .forward)) }
        return true
    }

    /// Waits for the head of the answer proper; interim answers on the way are the client's (RFC 9110, section 15.2).
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
