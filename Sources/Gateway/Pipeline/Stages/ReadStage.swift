internal import Bytes
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Reads the body, and finds in it what a rule needs.
///
/// The body is read whole where a rule needs it, where it is short, or where the upstream takes it from memory; else it is passed
/// on as it comes, once enough of it is here. It is capped by its route, and the cap is checked before the first byte where the
/// length is announced.
final class ReadStage {
    /// For the bodies of all requests under way.
    let bodies: BodyMemoryBudget
    /// The connector service of this process, which knows the connections of its jobs.
    let local: (any InProcessUpstream)?

    init(bodies: BodyMemoryBudget, local: (any InProcessUpstream)?) {
        self.bodies = bodies
        self.local = local
    }

    func readBody(
        of stream: inout some ClientStream & ~Copyable, for grant: Grant, isRemote: Bool, _ exchange: inout Exchange
    ) async throws(Failure) -> ForwardedBody {
        if grant.needsConnection, case .body = grant.route.connection {
            guard hasJSONBody(stream.request) else { throw Failure(.unsupportedMediaType, at: .read) }
        }
        let framing = stream.request.head.framing
        if framing.isNone { return .whole([]) }
        let isPassedOn = isRemote && isPassedOn(grant)
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

    /// Whether the rest of the body may follow while the request is under way. Not where it takes a lease: who is slow with its
    /// body would keep others from the connection meanwhile.
    private func isPassedOn(_ grant: Grant) -> Bool {
        guard grant.route.lease == nil else { return false }
        if case .body = grant.route.connection { return !grant.needsConnection }
        return true
    }

    /// Bodies up to this size are not passed on before they are there, and larger ones not before so much of them is: a slow
    /// client keeps no permit.
    private static let spooledBytes = 65_536

    /// Finds out which connection the request is about, where a limit or a lease depends on it.
    func findConnection(
        in body: ForwardedBody, of request: borrowing Request, for grant: Grant, _ jobs: JobObserver?,
        _ exchange: inout Exchange
    ) async throws(Failure) {
        if grant.needsConnection {
            exchange.connectionID = try await connectionID(in: body, of: request, for: grant, jobs, &exchange)
        }
        exchange.mark(.read)
    }

    private func connectionID(
        in body: ForwardedBody, of request: borrowing Request, for grant: Grant, _ jobs: JobObserver?,
        _ exchange: inout Exchange
    ) async throws(Failure) -> String? {
        let path = request.bytes(request.head.path)
        switch grant.route.connection {
        case .none: return nil
        case .path:
            guard let range = grant.captures.connection else { return nil }
            guard let key = ConnectionID.canonical(path.span.extracting(range)) else {
                throw Failure(.invalidIdentifier(name: "connection_id"), at: .read)
            }
            return key
        case .body(let names):
            guard case .whole(let bytes) = body else { throw Failure(.internalError, at: .read) }
            if let query = request.head.query,
                FieldSpelling.isNamed(names, inQuery: request.headBytes.extracting(query))
            {
                throw Failure(.invalidField(name: names[0], reason: "belongs in the body, not in the query"), at: .read)
            }
            let value: JSONValue
            do throws(JSONError) { value = try JSONValue.read(bytes.span) } catch {
                throw Failure(.invalidJSON(reason: error.message, offset: error.range.lowerBound), at: .read)
            }
            // A tree takes more memory than its bytes, so nobody keeps it who does not read it.
            if local != nil { exchange.bodyValue = value }
            return try connectionID(in: value, names: names)
        case .job:
            guard let range = grant.captures.job, let organization = grant.organization else { return nil }
            let job = path.span.text(range)
            do throws(UpstreamFailure) {
                let found =
                    if let local { try await local.connection(ofJob: job, organization: organization.id) } else {
                        try await jobs?.connection(
                            ofJob: job, organization: organization.id, family: grant.route.family,
                            near: request.pathStart(for: grant))
                    }
                if let found { return found }
            } catch { throw Failure(error) }
            // The upstream might have the job all the same, and start it without a lease.
            throw Failure(.noSuchJob, at: .read)
        }
    }

    /// The connection that a body names. The same field under two spellings must agree: the upstream may read either. A
    /// spelling that only a lenient reader takes for the field is refused.
    private func connectionID(in value: JSONValue, names: [String]) throws(Failure) -> String {
        guard let members = value.object else {
            throw Failure(.invalidField(name: names[0], reason: "the body must be a JSON object"), at: .read)
        }
        var found: String?
        for name in names {
            guard let member = value[name] else { continue }
            guard let text = member.string else {
                throw Failure(.invalidField(name: name, reason: "must be a string"), at: .read)
            }
            guard let key = ConnectionID.canonical(Array(text.utf8).span) else {
                throw Failure(.invalidIdentifier(name: name), at: .read)
            }
            if let found, found != key { throw Failure(.conflictingFields(names), at: .read) }
            found = key
        }
        for member in members where FieldSpelling.isAnother(of: names, member.name) {
            throw Failure(
                .invalidField(name: names[0], reason: "must be spelled \(names.joined(separator: " or "))"), at: .read)
        }
        guard let found else { throw Failure(.invalidField(name: names[0], reason: "is required"), at: .read) }
        return found
    }
}
