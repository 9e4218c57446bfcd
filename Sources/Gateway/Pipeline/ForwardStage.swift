internal import HTTP
internal import Policy
internal import Transport

extension Worker {
    func upstreamRequest(
        _ connection: borrowing ServerConnection, _ body: [UInt8], _ grant: Grant, _ exchange: borrowing Exchange
    ) -> UpstreamRequest {
        UpstreamRequest(
            method: connection.head.method, target: connection.bytes(connection.head.originForm), body: body,
            organization: grant.organization?.id ?? "", trace: exchange.trace)
    }

    /// Hands the request to the connector service of this process.
    // Not inlined, like what seldom happens in `relay`: its frame would be part of those of proxied requests.
    @inline(never)
    func forward(
        _ body: ForwardedBody, for grant: Grant, _ lease: consuming Lease?, _ connection: inout ServerConnection,
        _ exchange: inout Exchange
    ) async throws(Failure) -> Response {
        guard let upstream = shared.local, case .whole(let bytes) = body else {
            throw Failure(.internalError, at: .forward)
        }
        let request = upstreamRequest(connection, bytes, grant, exchange)
        lease?.forwarded(at: loop.now)
        let answer: UpstreamResponse
        if let atOnce = upstream.tryAnswer(request) {
            answer = atOnce
        } else {
            // Answers to earlier requests of a pipeline must not wait for this one.
            guard await connection.flush() else { throw Failure(.clientGone, at: .forward) }
            do throws(UpstreamFailure) { answer = try await upstream.answer(request) } catch { throw Failure(error) }
        }
        mark(.forward, &exchange)
        return normalize(answer, settling: lease, &exchange)
    }
}

extension Failure {
    /// The upstream gave no answer.
    init(_ failure: UpstreamFailure) { self.init(.upstream(failure), at: .forward) }
}
