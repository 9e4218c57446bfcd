/// A caller, identified by its token.
package final class Principal: Sendable, Equatable {
    /// `organization/name` as in the policy file, fit for logs.
    package let tokenID: String
    /// The caller, whichever of its tokens it uses.
    package let subject: String
    /// The organizations the token may act for, the one it is listed under first; never empty.
    package let organizations: [Organization]
    package let scopes: ScopeSet
    /// The time from which the token is expired, in seconds since the epoch.
    package let expiresAt: Int64?
    /// Derived from `tokenID` only, so that counters survive a reload.
    package let key: UInt64

    init(tokenID: String, subject: String? = nil, organizations: [Organization], scopes: ScopeSet, expiresAt: Int64?) {
        self.tokenID = tokenID
        self.subject = subject ?? tokenID
        self.organizations = organizations
        self.scopes = scopes
        self.expiresAt = expiresAt
        key = processKey(of: tokenID)
    }

    package static func == (one: Principal, other: Principal) -> Bool { one === other }
}
