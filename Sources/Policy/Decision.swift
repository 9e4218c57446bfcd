/// What the gateway must do with one request.
package enum Decision: Sendable {
    case forward(Grant)
    /// Answered by the gateway with this status: the route says so.
    case respond(status: Int, Grant)
    /// `OPTIONS`: answered by the gateway with 204 and this `Allow`, whoever asks.
    case options(allow: String, RouteFamily)
    case refuse(Refusal)
}

/// A permitted request, and the limits it still has to pass.
///
/// Only `PolicySet` makes one, so that nothing is forwarded without a decision.
package struct Grant: Sendable {
    package let route: Route
    package let captures: RouteCaptures
    /// Who calls; `nil` on a public route.
    package let principal: Principal?
    /// For which organization; `nil` on a public route.
    package let organization: Organization?
    /// The limits to take all at once, in the order of their names.
    package let limits: [LimitRule]
    /// Whether the connection must be known to charge the limits or to take the lease.
    package let needsConnection: Bool

    init(
        route: Route, captures: RouteCaptures, principal: Principal?, organization: Organization?, limits: RouteLimits
    ) {
        self.route = route
        self.captures = captures
        self.principal = principal
        self.organization = organization
        self.limits = limits.rules
        needsConnection = limits.needConnection || route.lease != nil
    }
}

/// Why a request is refused. Cases are listed in the order the checks run.
package enum Refusal: Equatable, Sendable {
    /// No route has this path. The family is that of the routes nearest to it.
    case noRoute(RouteFamily)
    /// The path exists, but not with this method; `allow` lists those it has.
    case methodNotAllowed(allow: String, RouteFamily)
    /// The path is spelled in a way that two readers can understand differently.
    case ambiguousPath(RouteFamily)
    /// There is no credential, or none that counts.
    case unauthenticated(Route, CredentialFailure)
    /// The principal does not belong to the organization that the request names.
    case organizationDenied(Route, Principal, asked: String)
    /// The principal belongs to several organizations and the request names none.
    case ambiguousOrganization(Route, Principal)
    /// The token lacks a scope of the route; `required` is the `scope` attribute of `WWW-Authenticate`.
    case insufficientScope(Route, Principal, Organization, required: String)

    /// The family whose error shape the answer has.
    package var family: RouteFamily {
        switch self {
        case .noRoute(let family), .methodNotAllowed(_, let family), .ambiguousPath(let family): family
        case .unauthenticated(let route, _), .organizationDenied(let route, _, _), .ambiguousOrganization(let route, _),
            .insufficientScope(let route, _, _, _):
            route.family
        }
    }

    /// The route that was found before the refusal.
    package var route: Route? {
        switch self {
        case .noRoute, .methodNotAllowed, .ambiguousPath: nil
        case .unauthenticated(let route, _), .organizationDenied(let route, _, _), .ambiguousOrganization(let route, _),
            .insufficientScope(let route, _, _, _):
            route
        }
    }

    /// For which organization, where all but the scope was found to be in order.
    package var organization: Organization? {
        if case .insufficientScope(_, _, let organization, _) = self { organization } else { nil }
    }

    /// Who called, where that was found out before the refusal.
    package var principal: Principal? {
        switch self {
        case .noRoute, .methodNotAllowed, .ambiguousPath, .unauthenticated: nil
        case .organizationDenied(_, let principal, _), .ambiguousOrganization(_, let principal),
            .insufficientScope(_, let principal, _, _):
            principal
        }
    }
}
