internal import HTTP
internal import Policy
internal import Transport

/// Reads the body of a request.
///
/// The body is read whole if a rule needs it, if it is short, or if the upstream takes it from memory. Other bodies are
/// forwarded piece by piece, after a first part has arrived. The route limits the length; `Content-Length` is checked
/// before the first byte.
final class ReadStage {
    /// The memory for the bodies of all requests.
    let bodies: BodyMemoryBudget

    init(bodies: BodyMemoryBudget) { self.bodies = bodies }

    /// `passesOn`: whether the upstream takes a body piece by piece.
    func readBody(
        of stream: inout some ClientStream & ~Copyable, for grant: Grant, passesOn: Bool, _ exchange: inout Exchange
    ) async throws(Failure) -> ForwardedBody {
        if grant.needsConnection, case .body = grant.route.connection {
            guard hasJSONBody(stream.request) else { throw Failure(.unsupportedMediaType, at: .read) }
        }
        let framing = stream.request.head.framing
        if framing.isNone { return .whole([]) }
        let isPassedOn = passesOn && isPassedOn(grant) && exchange.keyed == nil
        let owner = grant.owner(from: stream.request.peer)
        let body = try await stream.readBody(
            atMost: grant.route.maxBodyBytes, upTo: isPassedOn ? ReadStage.spooledBytes : .max,
            &exchange.allowance, of: bodies, for: owner, count: &exchange.bodyBytes)
        if body.isWhole { return .whole(body.bytes) }
        if case .length(let length) = framing { return .streamed(.length(Int(length)), begun: body.bytes) }
        return .streamed(.chunked, begun: body.bytes)
    }

    private func hasJSONBody(_ request: borrowing Request) -> Bool {
        request.head.hasJSONBody(in: request.headBytes)
    }

    /// Whether the rest of the body may follow while the request is in progress. A request with a lease waits for its
    /// whole body; otherwise a slow client would block the connection for others. One with an idempotency key needs it for
    /// the fingerprint. A confirmation is for the whole body.
    private func isPassedOn(_ grant: Grant) -> Bool {
        guard grant.route.lease == nil, grant.route.confirmation == nil else { return false }
        if case .body = grant.route.connection { return !grant.needsConnection }
        return true
    }

    /// A request is forwarded when this much of its body has arrived, or all of it. So a slow client holds no permit
    /// while it sends a short body.
    private static let spooledBytes = 65_536
}
