internal import Bytes
internal import Crypto
internal import HTTP
internal import Policy
internal import Transport

/// Route, authenticate, authorize: finds the credential of a request and lets the policy set decide.
///
/// The decision is a pure function of the head and the policies (`PolicySet.decide`). This stage records the result in
/// the exchange, and caches the hash of the credential for the next request of the connection.
struct DecideStage {
    private let hasher = SHA256()

    /// `epochSeconds` is the current time, for the expiry of tokens.
    func decide(
        _ request: borrowing Request, _ exchange: inout Exchange, _ cache: inout CredentialCache, epochSeconds: Int64
    ) -> Decision {
        let head = request.head
        let bytes = request.headBytes
        let credential = credential(of: head, in: bytes, &exchange, &cache, epochSeconds)
        let organizationHeader = head.organizationID.map { bytes.text($0) }
        let method = head.method.bytes
        let decision = exchange.policies.set.decide(
            method: method.span, path: bytes.extracting(head.path), credential: credential,
            organizationHeader: organizationHeader, now: epochSeconds)
        switch decision {
        case .forward(let grant), .respond(_, let grant):
            exchange.route = grant.route
            exchange.family = grant.route.family
            exchange.principal = grant.principal
            exchange.organization = grant.organization
            exchange.jobInPath = grant.captures.job
            exchange.mark(.authorize)
        case .refuse(let refusal):
            exchange.route = refusal.route
            exchange.family = refusal.family
            exchange.principal = refusal.principal
            exchange.rejection = .refusal(refusal, credential: exchange.credentialField)
            exchange.organization = refusal.organization
        case .options(_, let family): exchange.family = family
        }
        return decision
    }

    /// The bearer token if it is valid, else `x-api-key` (API.md, section 4). Clients that send a token often send a dummy key
    /// beside it, and some send their key beside an empty token. If both are valid, they must belong to one principal: the
    /// upstream could use the other one.
    private func credential(
        of head: RequestHead, in bytes: Span<UInt8>, _ exchange: inout Exchange, _ cache: inout CredentialCache,
        _ epochSeconds: Int64
    ) -> Credential {
        let policies = exchange.policies.set
        var bearer = Credential.missing
        if let value = head.authorization {
            bearer = .malformed
            if value.count > 7, bytes.spells("bearer ", in: value.lowerBound..<value.lowerBound + 7) {
                let token = bytes.trimmed(value.lowerBound + 7..<value.upperBound)
                bearer = cache.credential(bytes.extracting(token), hasher)
            }
        }
        guard let value = head.apiKey, !value.isEmpty else { return bearer }
        if case .digest = bearer, case .principal(let principal) = policies.authenticate(bearer, now: epochSeconds) {
            let key = CredentialCache.digest(bytes.extracting(value), hasher)
            guard case .principal(let other) = policies.authenticate(key, now: epochSeconds) else { return bearer }
            return other == principal ? bearer : .ambiguous
        }
        let key = cache.credential(bytes.extracting(value), hasher)
        // If neither is valid, the error is about the bearer token, which comes first.
        if bearer != .missing, case .failure = policies.authenticate(key, now: epochSeconds) { return bearer }
        exchange.credentialField = .apiKey
        return key
    }
}

extension Refusal {
    /// The stage that refused.
    var stage: Stage {
        switch self {
        case .noRoute, .methodNotAllowed, .ambiguousPath: .route
        case .unauthenticated: .authenticate
        case .organizationDenied, .ambiguousOrganization, .insufficientScope: .authorize
        }
    }
}
