/// What the gateway must do with one request.
package enum Decision: Sendable {
    case forward(Grant)
    /// The gateway responds with this status, as the route says.
    case respond(status: Int, Grant)
    /// `OPTIONS`: the gateway responds with 204 and this `Allow`, without authentication.
    case options(allow: String, RouteFamily)
    case refuse(Refusal)
}

/// A permitted request, and the limits it still has to pass.
///
/// Only `PolicySet` makes one, so that nothing is forwarded without a decision.
package struct Grant: Sendable {
    package let route: Route
    package let captures: RouteCaptures
    /// The caller; `nil` on a public route.
    package let principal: Principal?
    /// The organization that the caller acts for; `nil` on a public route.
    package let organization: Organization?
    /// The limits to charge together, in the order of their names.
    package let limits: [LimitRule]
    /// Whether the connection must be known to charge the limits, to take the lease, or to ask for a confirmation.
    package let needsConnection: Bool

    init(
        route: Route, captures: RouteCaptures, principal: Principal?, organization: Organization?, limits: RouteLimits
    ) {
        self.route = route
        self.captures = captures
        self.principal = principal
        self.organization = organization
        self.limits = limits.rules
        needsConnection = limits.needsConnection || route.lease != nil || route.confirmation != nil
    }
}

/// Why a request is refused. Cases are listed in the order the checks run.
package enum Refusal: Equatable, Sendable {
    /// No route has this path. The family is that of the routes nearest to it.
    case noRoute(RouteFamily)
    /// The path exists, but not with this method; `allow` lists its methods.
    case methodNotAllowed(allow: String, RouteFamily)
    /// Two programs can read this spelling of the path differently.
    case ambiguousPath(RouteFamily)
    /// There is no credential, or no valid one.
    case unauthenticated(Route, CredentialFailure)
    /// The principal does not belong to the organization that the request names, or path and header name different ones.
    case organizationDenied(Route, Principal, asked: String)
    /// The principal belongs to several organizations and the request names none.
    case ambiguousOrganization(Route, Principal)
    /// The token lacks a scope of the route; `required` is the `scope` attribute of `WWW-Authenticate`.
    case insufficientScope(Route, Principal, Organization, required: String)

    /// The family whose error shape the response has.
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

    /// The organization, known only if the scope is all that is missing.
    package var organization: Organization? {
        if case .insufficientScope(_, _, let organization, _) = self { organization } else { nil }
    }

    /// The caller, if the credential was valid.
    package var principal: Principal? {
        switch self {
        case .noRoute, .methodNotAllowed, .ambiguousPath, .unauthenticated: nil
        case .organizationDenied(_, let principal, _), .ambiguousOrganization(_, let principal),
            .insufficientScope(_, let principal, _, _):
            principal
        }
    }
}
