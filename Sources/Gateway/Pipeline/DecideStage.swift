internal import Crypto
internal import HTTP
internal import Policy
internal import Transport

/// The credential that a connection sent last, already hashed.
///
/// Clients repeat the same token on every request of a connection; comparing it costs a tenth of hashing it.
struct CredentialCache {
    private var text: [UInt8] = []
    private var digest: TokenDigest?

    /// The digest of `bytes` if they are a token at all. Nothing is remembered: for the second credential of a request.
    static func digest(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        guard isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        return .digest(TokenDigest(words.a, words.b, words.c, words.d))
    }

    /// The digest of `bytes` if they are a token at all, in time that does not depend on how much of a remembered token
    /// they match.
    mutating func credential(_ bytes: Span<UInt8>, _ hasher: SHA256) -> Credential {
        if let digest, matches(bytes) { return .digest(digest) }
        guard CredentialCache.isToken(bytes) else { return .malformed }
        let words = hasher.digest(of: bytes).words
        let digest = TokenDigest(words.a, words.b, words.c, words.d)
        text.removeAll(keepingCapacity: true)
        text.append(bytes: bytes)
        self.digest = digest
        return .digest(digest)
    }

    /// Visible ASCII, not too long, and not mistyped: `token68` of RFC 9110, section 11.2, and whatever else clients use as a
    /// key.
    private static func isToken(_ bytes: Span<UInt8>) -> Bool {
        guard !bytes.isEmpty, bytes.count <= 4096 else { return false }
        for index in bytes.indices where bytes[index] <= 0x20 || bytes[index] >= 0x7F { return false }
        return !APIToken.isMistyped(bytes)
    }

    private func matches(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count == text.count else { return false }
        var difference: UInt8 = 0
        for index in 0..<bytes.count { difference |= bytes[index] ^ text[index] }
        return difference == 0
    }
}

extension Worker {
    /// Route, authenticate, authorize: one pure decision over what the head says.
    func decide(_ connection: borrowing ServerConnection, _ exchange: inout Exchange, _ cache: inout CredentialCache)
        -> Decision
    {
        let head = connection.head
        let bytes = connection.input.span.extracting(connection.headStart..<connection.headStart + head.end)
        let credential = credential(of: head, in: bytes, &exchange, &cache)
        let organizationHeader = head.organizationID.map { bytes.text($0) }
        let method = head.method.bytes
        let decision = exchange.policies.set.decide(
            method: method.span, path: bytes.extracting(head.path), credential: credential,
            organizationHeader: organizationHeader, now: epochSeconds)
        switch decision {
        case .forward(let grant):
            exchange.route = grant.route
            exchange.family = grant.route.family
            exchange.principal = grant.principal
            exchange.organization = grant.organization
            exchange.jobInPath = grant.captures.job
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

    /// `Authorization: Bearer` where it is valid, else `x-api-key` (API.md, section 4): clients that send a token often
    /// send a dummy key beside it, and some send their key beside an empty token. Two that count must be of one principal:
    /// the upstream, or who reads its log, could go by the other one.
    private func credential(
        of head: RequestHead, in bytes: Span<UInt8>, _ exchange: inout Exchange, _ cache: inout CredentialCache
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
        // Where neither counts, the answer is about the bearer token: it is the one that comes first.
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
