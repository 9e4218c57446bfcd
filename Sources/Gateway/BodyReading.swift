internal import HTTP
internal import JSON
internal import Policy
internal import Transport

// The body is read whole where a rule needs it, where it is short, or where the upstream takes it from memory; else it is passed
// on as it comes. It is capped by its route, and the cap is checked before the first byte where the length is announced.
extension Worker {
    func takeBody(
        of connection: inout ServerConnection, for grant: Grant, _ exchange: inout Exchange
    ) async throws(Failure) -> ForwardedBody {
        switch connection.head.framing {
        case .none: return .whole([])
        case .length(let length) where length > UInt64(grant.route.maxBodyBytes):
            throw Failure(.bodyTooLarge(limit: grant.route.maxBodyBytes), at: .read)
        case .length(let length) where length > Worker.wholeBytes && isPassedOn(grant):
            return .streamed(.length(Int(length)))
        case .chunked where isPassedOn(grant): return .streamed(.chunked)
        case .length, .chunked, .untilClose:
            return .whole(try await readBody(of: &connection, for: grant, &exchange))
        }
    }

    private func isPassedOn(_ grant: Grant) -> Bool {
        guard remote != nil else { return false }
        if case .body = grant.route.connection { return !grant.needsConnection }
        return true
    }

    /// Bodies up to this size are not passed on before they are there: a slow client then keeps no connection to the upstream.
    private static let wholeBytes: UInt64 = 65_536

    private func readBody(
        of connection: inout ServerConnection, for grant: Grant, _ exchange: inout Exchange
    ) async throws(Failure) -> [UInt8] {
        try await connection.readBody(
            atMost: grant.route.maxBodyBytes, &exchange.allowance, of: shared.bodies, count: &exchange.bodyBytes)
    }

    /// Finds out which connection the request is about, where a limit or a lease depends on it.
    func findConnection(
        in body: ForwardedBody, of connection: borrowing ServerConnection, for grant: Grant, _ exchange: inout Exchange
    ) async throws(Failure) {
        guard grant.needsConnection else { return }
        let path = connection.bytes(connection.head.path)
        switch grant.route.connection {
        case .none: return
        case .path:
            guard let range = grant.captures.connection else { return }
            guard let key = ConnectionKey.canonical(path.span.extracting(range)) else {
                throw Failure(.invalidIdentifier(name: "connection_id"), at: .read)
            }
            exchange.connection = key
        case .body(let names):
            guard case .whole(let bytes) = body else { throw Failure(.internalError, at: .read) }
            exchange.connection = try connectionID(in: bytes, names: names)
        case .job:
            guard let range = grant.captures.job, let organization = grant.organization else { return }
            let job = path.span.text(range)
            do throws(UpstreamFailure) {
                // A job that the organization does not have leads to no connection: the upstream answers for it.
                exchange.connection = try await self.connection(
                    ofJob: job, organization: organization.id, family: grant.route.family)
            } catch { throw Failure(error) }
        }
    }

    /// The connection that a body names. The same field under two spellings must agree: the upstream may read either.
    private func connectionID(in body: [UInt8], names: [String]) throws(Failure) -> String {
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.read(body.span) } catch {
            throw Failure(.invalidJSON(reason: error.message, offset: error.range.lowerBound), at: .read)
        }
        guard value.object != nil else {
            throw Failure(.invalidField(name: names[0], reason: "the body must be a JSON object"), at: .read)
        }
        var found: String?
        for name in names {
            guard let member = value[name] else { continue }
            guard let text = member.string else {
                throw Failure(.invalidField(name: name, reason: "must be a string"), at: .read)
            }
            guard let key = ConnectionKey.canonical(Array(text.utf8).span) else {
                throw Failure(.invalidIdentifier(name: name), at: .read)
            }
            if let found, found != key { throw Failure(.conflictingFields(names), at: .read) }
            found = key
        }
        guard let found else { throw Failure(.invalidField(name: names[0], reason: "is required"), at: .read) }
        return found
    }
}
