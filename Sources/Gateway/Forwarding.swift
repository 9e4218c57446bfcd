internal import HTTP
internal import Policy
internal import Transport

extension Worker {
    /// Sends the request upstream and waits for the answer.
    func forward(
        _ connection: inout ServerConnection, _ body: [UInt8], _ grant: Grant, _ lease: inout Lease?,
        _ exchange: inout Exchange
    ) async throws(Failure) -> UpstreamResponse {
        let request = UpstreamRequest(
            method: connection.head.method,
            target: connection.bytes(connection.head.originForm), body: body,
            organization: grant.organization?.id ?? "", trace: exchange.trace)
        lease?.forwarded()
        if let response = shared.upstream.answerAtOnce(request) { return response }
        // Answers to earlier requests of a pipeline must not wait for this one.
        guard await connection.flush() else { throw Failure(.bodyIncomplete, at: .forward) }
        do throws(UpstreamFailure) { return try await shared.upstream.answer(request) } catch {
            throw Failure(error)
        }
    }
}

extension Failure {
    /// The upstream gave no answer.
    init(_ failure: UpstreamFailure) {
        switch failure {
        case .unavailable: self.init(.upstreamUnreachable, at: .forward)
        case .timedOut: self.init(.upstreamTimeout, at: .forward)
        case .broken: self.init(.upstreamInvalidResponse, at: .forward)
        }
    }
}
