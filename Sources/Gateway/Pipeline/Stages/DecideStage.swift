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
        _ request: borrowing Request, _ exchange: inout Exchange, _ cache: inout TokenDigestCache, epochSeconds: Int64
    ) -> Decision {
        let bytes = request.headBytes
        let credential = credential(
            of: request, by: exchange.policies.set, &exchange.credentialField, &cache, epochSeconds)
        let organizationHeader = request.head.organizationID.map { bytes.text($0) }
        let method = request.head.method.bytes
        // Each case is unpacked and rebuilt, because a copy of the whole decision would retain its references.
        switch exchange.policies.set.decide(
            method: method.span, path: bytes.extracting(request.head.path), credential: credential,
            organizationHeader: organizationHeader, now: epochSeconds)
        {
        case .forward(let grant):
            exchange.granted(grant)
            return .forward(grant)
        case .respond(let status, let grant):
            exchange.granted(grant)
            return .respond(status: status, grant)
        case .refuse(let refusal):
            exchange.route = refusal.route
            exchange.family = refusal.family
            exchange.principal = refusal.principal
            exchange.rejection = .refusal(refusal, credential: exchange.credentialField)
            exchange.organization = refusal.organization
            return .refuse(refusal)
        case .options(let allow, let family):
            exchange.family = family
            return .options(allow: allow, family)
        }
    }

    /// Why `policies`, the current ones, refuse a request that has waited since `grant` was made: its token has expired, or a reload
    /// has taken the token or its rights. `nil` if nothing of that has happened.
    func refusal(
        of request: borrowing Request, after grant: Grant, by policies: PolicySet, _ cache: inout TokenDigestCache,
        epochSeconds: Int64
    ) -> Refusal? {
        let bytes = request.headBytes
        var field = CredentialField.bearer
        let credential = credential(of: request, by: policies, &field, &cache, epochSeconds)
        switch policies.decide(
            method: request.head.method.bytes.span, path: bytes.extracting(request.head.path), credential: credential,
            organizationHeader: request.head.organizationID.map { bytes.text($0) }, now: epochSeconds)
        {
        case .forward(let now):
            let isSame =
                now.principal?.subject == grant.principal?.subject
                && now.organization?.id == grant.organization?.id
            return isSame ? nil : .unauthenticated(grant.route, .unknown)
        case .refuse(let refusal): return refusal
        case .respond, .options: return .noRoute(grant.route.family)
        }
    }

    /// The bearer token if it is valid, else `x-api-key` (API.md, section 4). Clients that send a token often send a dummy key
    /// beside it, and some send their key beside an empty token. If both are valid, they must belong to one principal: the
    /// upstream could use the other one.
    private func credential(
        of request: borrowing Request, by policies: PolicySet, _ field: inout CredentialField,
        _ cache: inout TokenDigestCache, _ epochSeconds: Int64
    ) -> Credential {
        let bytes = request.headBytes
        var bearer = Credential.missing
        if let value = request.head.authorization {
            bearer = .malformed
            if bytes.hasBearerScheme(value) {
                let token = bytes.trimmed(value.lowerBound + 7..<value.upperBound)
                bearer = cache.credential(bytes.extracting(token), hasher)
            }
        }
        guard let value = request.head.apiKey, !value.isEmpty else { return bearer }
        if case .digest = bearer, case .principal(let principal) = policies.authenticate(bearer, now: epochSeconds) {
            let key = TokenDigestCache.digest(bytes.extracting(value), hasher)
            guard case .principal(let other) = policies.authenticate(key, now: epochSeconds) else { return bearer }
            return other == principal ? bearer : .ambiguous
        }
        let key = cache.credential(bytes.extracting(value), hasher)
        // If neither is valid, the error is about the bearer token, which comes first.
        if bearer != .missing, case .failure = policies.authenticate(key, now: epochSeconds) { return bearer }
        field = .apiKey
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
