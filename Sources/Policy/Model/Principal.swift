/// Who calls: one token.
package final class Principal: Sendable, Equatable {
    /// `organization/name` as in the policy file, fit for logs.
    package let tokenID: String
    /// The organizations the token may act for, the one it is listed under first; never empty.
    package let organizations: [Organization]
    package let scopes: ScopeSet
    /// Seconds since the epoch from which on the token counts no more.
    package let expiresAt: Int64?
    /// A number made of `tokenID` only, so that counters survive a reload.
    package let key: UInt64

    init(tokenID: String, organizations: [Organization], scopes: ScopeSet, expiresAt: Int64?) {
        self.tokenID = tokenID
        self.organizations = organizations
        self.scopes = scopes
        self.expiresAt = expiresAt
        key = processKey(of: tokenID)
    }

    package static func == (one: Principal, other: Principal) -> Bool { one === other }
}

/// A set of the scopes a policy set declares.
package struct ScopeSet: OptionSet, Hashable, Sendable {
    /// A bit for each scope, in the order in which the set declares them.
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One customer of the API, whose connections are its own.
package final class Organization: Sendable, Equatable {
    package let id: String
    /// The name; what the plan changes is worked into the limits.
    package let plan: String?
    /// The limits in force until a point in time each, in order; the last one has no end.
    let limits: [(until: Int64, profile: LimitProfile)]
    let idBytes: [UInt8]
    /// A number made of `id` only, so that counters survive a reload.
    package let key: UInt64

    init(id: String, plan: String?, limits: [(until: Int64, profile: LimitProfile)]) {
        self.id = id
        self.plan = plan
        self.limits = limits
        idBytes = Array(id.utf8)
        key = processKey(of: id)
    }

    package static func == (one: Organization, other: Organization) -> Bool { one === other }

    /// The limits of this organization on `route` at `now`, overrides that have ended left out.
    package func limits(on route: Route, now: Int64) -> [LimitRule] {
        routeLimits(on: route, now: now).rules
    }

    func routeLimits(on route: Route, now: Int64) -> RouteLimits {
        for index in limits.indices where now < limits[index].until {
            return limits[index].profile.byRoute[route.index]
        }
        return RouteLimits(rules: [])
    }

    func isNamed(_ name: Span<UInt8>) -> Bool {
        guard name.count == idBytes.count else { return false }
        for index in idBytes.indices where name[index] != idBytes[index] { return false }
        return true
    }
}
