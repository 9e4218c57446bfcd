internal import Bytes
internal import HTTP
internal import JSON
internal import Policy
internal import Transport

/// Holds a destructive request back until its caller has confirmed it, on routes whose policy demands that.
///
/// The first request gets 409 with a confirmation. The same request, with the confirmation in `X-Gateway-Confirmation`, goes
/// on. A confirmation is used up only when the work begins: a caller that met a limit or a running job can use it again, and a
/// request that was sent twice still finds its own job.
struct ConfirmStage {
    let confirmations: Confirmations
    let clock: WallClock
    private let fingerprints: RequestFingerprints
    /// In lower case.
    private static let field = ConfirmationOffer.field.lowercased()

    init(confirmations: Confirmations, fingerprints: RequestFingerprints, clock: WallClock) {
        self.confirmations = confirmations
        self.fingerprints = fingerprints
        self.clock = clock
    }

    /// The confirmation of the request; `nil` if it needs none.
    func confirm(
        _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request, _ exchange: borrowing Exchange,
        now: Instant
    ) throws(Failure) -> ConfirmationToken? {
        guard let confirmation = grant.route.confirmation else { return nil }
        return try check(confirmation, grant, body, request, exchange, now)
    }

    /// Uses the confirmation: the work is about to begin.
    func use(
        _ token: ConfirmationToken?, _ grant: Grant, _ exchange: inout Exchange, now: Instant
    ) throws(Failure) {
        guard let token else { return }
        let organization = grant.organization?.key ?? 0
        switch confirmations.use(token, organization: organization, now: now.nanoseconds) {
        case .first: exchange.usedConfirmation = token
        case .again: throw Failure(.confirmationInvalid(.used), at: .admit)
        case .tooMany(let seconds):
            throw Failure(.rateLimited(.init(limit: "confirmations", retryAfterSeconds: seconds)), at: .admit)
        }
    }

    /// The request ends with a failure. If no work can have begun, its confirmation can be used again.
    func conclude(_ failure: Failure, _ exchange: inout Exchange) {
        guard let token = exchange.usedConfirmation, !failure.mayHaveBegunWork, !exchange.isForwarded else { return }
        exchange.usedConfirmation = nil
        confirmations.giveBack(token)
    }

    // Not inlined, so that its frame is not part of those of other requests.
    @inline(never)
    private func check(
        _ confirmation: Confirmation, _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request,
        _ exchange: borrowing Exchange, _ now: Instant
    ) throws(Failure) -> ConfirmationToken? {
        let value = try json(of: body, confirmation, request, exchange)
        guard try isNeeded(confirmation, value, request) else { return nil }
        guard let fingerprint = fingerprints.fingerprint(of: request, body, value) else {
            throw Failure(.bodyTooLarge(limit: RequestFingerprints.maxBodyBytes), at: .read)
        }
        guard let organization = grant.organization, let principal = grant.principal,
            let connection = exchange.connectionID
        else { throw Failure(.internalError, at: .admit) }
        let confirmed = ConfirmedRequest(
            subject: principal.subject, organization: organization.id, route: grant.route.id, connection: connection,
            fingerprint: fingerprint)
        guard let text = try confirmationText(of: request) else {
            let token = confirmations.issue(for: confirmed, now: now.nanoseconds)
            let seconds = Confirmations.lifetimeSeconds
            let offer = ConfirmationOffer(
                token: token.text, expiresAt: clock.milliseconds + Int64(seconds) * 1000, expiresInSeconds: seconds,
                operation: grant.route.id, connection: connection,
                removesRecords: value.flatMap(Self.removesRecords))
            throw Failure(.confirmationRequired(offer), at: .admit)
        }
        do throws(ConfirmationError) {
            return try confirmations.check(text.span, for: confirmed, now: now.nanoseconds)
        } catch { throw Failure(.confirmationInvalid(error), at: .admit) }
    }

    /// The body as JSON, if a condition must look into it, or if it can be read.
    private func json(
        of body: ForwardedBody, _ confirmation: Confirmation, _ request: borrowing Request,
        _ exchange: borrowing Exchange
    ) throws(Failure) -> JSONValue? {
        guard case .whole(let bytes) = body else { throw Failure(.internalError, at: .read) }
        guard !bytes.isEmpty else { return nil }
        if let value = exchange.bodyValue { return value }
        guard !confirmation.conditions.isEmpty else { return try? JSONValue.read(bytes.span) }
        // What the upstream could read differently, nobody has confirmed.
        guard request.head.hasJSONBody(in: request.headBytes) else { throw Failure(.unsupportedMediaType, at: .read) }
        do throws(JSONError) { return try JSONValue.read(bytes.span) } catch {
            throw Failure(.invalidJSON(reason: error.message, offset: error.range.lowerBound), at: .read)
        }
    }

    /// Whether one of the conditions matches. Other spellings of their names are refused, in the body and in the query:
    /// some upstream may read them.
    private func isNeeded(
        _ confirmation: Confirmation, _ value: JSONValue?, _ request: borrowing Request
    ) throws(Failure) -> Bool {
        let names = confirmation.names
        guard !names.isEmpty else { return true }
        if let query = request.head.query,
            FieldSpelling.isNamed(names, inQuery: request.headBytes.extracting(query))
        {
            throw Failure(.invalidField(name: names[0], reason: "belongs in the body, not in the query"), at: .read)
        }
        guard let value else { return false }
        guard let members = value.object else {
            throw Failure(.invalidField(name: names[0], reason: "the body must be a JSON object"), at: .read)
        }
        for member in members where FieldSpelling.isAnother(of: names, member.name) {
            let reason = "must be spelled \(names.joined(separator: " or "))"
            throw Failure(.invalidField(name: member.name, reason: reason), at: .read)
        }
        return confirmation.conditions.contains { condition in
            value[condition.name].map { condition.value.matches($0) } ?? false
        }
    }

    /// The client's confirmation; `nil` if there is none.
    private func confirmationText(of request: borrowing Request) throws(Failure) -> [UInt8]? {
        var text: [UInt8]?
        for field in request.head.fields where request.headBytes.spells(Self.field, in: field.nameRange) {
            // Of two, neither is sure to be the right one.
            guard text == nil else { throw Failure(.confirmationInvalid(.malformed), at: .admit) }
            var copy: [UInt8] = []
            copy.append(request.headBytes, field.value)
            text = copy
        }
        return text
    }

    /// What the body says about the records that were synced before; `nil` if it does not.
    private static func removesRecords(_ body: JSONValue) -> Bool? {
        body["remove_records"]?.bool ?? body["removeRecords"]?.bool
    }
}

extension Confirmation.Value {
    fileprivate func matches(_ value: JSONValue) -> Bool {
        if value.isNull { return false }
        switch self {
        case .flag: return value.bool != false
        // A value that is no string may be anything to another reader.
        case .words(let words):
            return value.string.map { text in words.contains { text.spells($0.lowercased()) } } ?? true
        }
    }
}
