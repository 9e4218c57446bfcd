internal import HTTP
internal import Policy
internal import Transport

/// Forwards requests to the connector service of this process. `RemoteForward` does the same for a remote upstream.
final class LocalForward {
    let upstream: any InProcessUpstream
    let normalizer: NormalizeStage

    init(upstream: any InProcessUpstream, normalizer: NormalizeStage) {
        self.upstream = upstream
        self.normalizer = normalizer
    }

    // Not inlined, so that its frame is not part of those of proxied requests.
    @inline(never)
    func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        guard case .whole(let bytes) = body else { throw Failure(.internalError, at: .forward) }
        let request = upstreamRequest(stream.request, bytes, grant, &exchange)
        // Responses to earlier pipelined requests must not wait for this one.
        guard await stream.flush() else { throw Failure(.clientGone, at: .forward) }
        lease?.forwarded(at: stream.now)
        exchange.isForwarded = true
        let upstreamResponse: UpstreamResponse
        do throws(UpstreamFailure) { upstreamResponse = try await upstream.respond(to: request) } catch {
            throw Failure(error)
        }
        exchange.mark(.forward)
        return normalizer.normalize(upstreamResponse, concluding: lease, &exchange, now: stream.now)
    }

    /// Forwards a read for which `respondsFromMemory` is true.
    func tryForward(for grant: Grant, _ stream: borrowing some ClientStream & ~Copyable, _ exchange: inout Exchange)
        throws(Failure) -> Response
    {
        let request = upstreamRequest(stream.request, [], grant, &exchange)
        guard let upstreamResponse = upstream.respondFromMemory(to: request) else {
            throw Failure(.internalError, at: .forward)
        }
        exchange.mark(.forward)
        return normalizer.normalize(upstreamResponse, concluding: nil, &exchange, now: stream.now)
    }

    private func upstreamRequest(
        _ request: borrowing Request, _ body: [UInt8], _ grant: Grant, _ exchange: inout Exchange
    ) -> UpstreamRequest {
        UpstreamRequest(
            method: request.head.method, target: request.bytes(request.head.originForm),
            captures: grant.captures, body: body, bodyValue: exchange.bodyValue.take(),
            organization: grant.organization?.id ?? "",
            trace: exchange.trace)
    }
}
