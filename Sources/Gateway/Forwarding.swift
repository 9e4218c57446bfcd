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

    /// Sends the request upstream and waits for the answer.
    func forward(
        _ request: UpstreamRequest, _ connection: inout ServerConnection
    ) async throws(Failure) -> UpstreamResponse {
        // Answers to earlier requests of a pipeline must not wait for this one.
        guard await connection.flush() else { throw Failure(.bodyIncomplete, at: .forward) }
        do throws(UpstreamFailure) { return try await shared.upstream.answer(request) } catch {
            throw Failure(error)
        }
    }
}

extension Failure {
    /// The upstream gave no answer.
    init(_ failure: UpstreamFailure) { self.init(.upstream(failure), at: .forward) }
}
