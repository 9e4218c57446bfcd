// Cut point: a second verifier of credentials, such as one of the signed tokens (JWT) of an identity provider, is one more case of
// `Credential` and one more branch of `authenticate`. The article about the architecture says what belongs where.
extension PolicySet {
    /// The result of checking a credential.
    package enum Authentication: Equatable, Sendable {
        case principal(Principal)
        case failure(CredentialFailure)
    }

    /// Finds the principal of a credential.
    package func authenticate(_ credential: Credential, now: Int64) -> Authentication {
        switch credential {
        case .missing: return .failure(.missing)
        case .malformed: return .failure(.malformed)
        case .ambiguous: return .failure(.ambiguous)
        case .digest(let digest):
            guard let principal = tokens.principal(of: digest) else { return .failure(.unknown) }
            if let end = principal.expiresAt, now >= end { return .failure(.expired) }
            return .principal(principal)
        }
    }
}
