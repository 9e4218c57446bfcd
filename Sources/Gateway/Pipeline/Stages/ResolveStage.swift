internal import Bytes
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Finds the connection that a request is about: in its path, in its body, or, if the path names a job, by asking the
/// upstream for the job. So this stage may wait.
///
/// It uses the body that the read stage has read. The log counts its time, refusals and failures as those of `read`.
struct ResolveStage {
    /// Sets the connection of `exchange`, if a limit or a lease needs it.
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
            // The JSON tree takes more memory than the bytes, so it is kept only for an upstream or a stage that reads it.
            if upstream.readsBodyValue || grant.route.resendWindow != nil { exchange.bodyValue = value }
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
            } catch { throw Failure(.upstream(error), at: .read) }
            // The upstream might still have the job, and start it without a lease.
            throw Failure(.noSuchJob, at: .read)
        }
    }

    /// The connection that a body names. If both spellings of the field are present, they must agree, because the
    /// upstream may read either. A spelling that only lenient readers take for the field is refused.
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

/// The facts about an upstream that the stages before `forward` need.
protocol JobConnectionLookup {
    /// The upstream takes a body piece by piece, so a long one need not be read whole.
    var takesBodyPieces: Bool { get }
    /// The upstream takes the JSON of a body that a stage has parsed, and does not parse the body again.
    var readsBodyValue: Bool { get }

    /// The connection that a job belongs to; `nil` if the organization has no such job. `start` is the start of the
    /// path of the client's request.
    func connection(
        ofJob job: String, organization: String, family: RouteFamily, near start: String
    ) async throws(UpstreamFailure) -> String?
}
