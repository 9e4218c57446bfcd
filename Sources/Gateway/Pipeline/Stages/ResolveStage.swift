internal import Bytes
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Finds out which connection a request is about: from its path, from its body, or, where the path names a job, from who knows the
/// jobs. That may be the upstream, so this stage may wait.
///
/// It reads what the read stage has brought; its time and its refusals are logged as those of `read`.
struct ResolveStage {
    /// Tells `exchange` the connection, where a limit or a lease depends on it.
    func resolve(
        _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request, at upstream: some JobConnectionLookup,
        _ exchange: inout Exchange
    ) async throws(Failure) {
        if grant.needsConnection {
            exchange.connectionID = try await connectionID(grant, body, request, upstream, &exchange)
        }
        exchange.mark(.read)
    }

    private func connectionID(
        _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request, _ upstream: some JobConnectionLookup,
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
            if upstream.readsBodyValue { exchange.bodyValue = value }
            return try connectionID(in: value, names: names)
        case .job:
            guard let range = grant.captures.job, let organization = grant.organization else { return nil }
            let job = path.span.text(range)
            do throws(UpstreamFailure) {
                let start = request.pathStart(for: grant)
                if let found = try await upstream.connection(
                    ofJob: job, organization: organization.id, family: grant.route.family, near: start)
                {
                    return found
                }
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

/// What the stages have to know of an upstream before a request goes there.
protocol JobConnectionLookup {
    /// It takes a body piece by piece, so that a long one need not be read whole.
    var takesBodyPieces: Bool { get }
    /// It takes the JSON of a body that a stage has read, and does not read the body again.
    var readsBodyValue: Bool { get }

    /// The connection that a job belongs to; `nil` where the organization has no such job. `start` is the beginning of the path
    /// by which the client has asked.
    func connection(
        ofJob job: String, organization: String, family: RouteFamily, near start: String
    ) async throws(UpstreamFailure) -> String?
}
