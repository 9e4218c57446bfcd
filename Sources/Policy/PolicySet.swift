internal import JSON

/// A checked and compiled set of policy documents.
///
/// Immutable: every worker reads it without a lock, and a request keeps the set that it started with.
package final class PolicySet: Sendable {
    /// SHA-256 of the canonical form, in hexadecimal: equal policies have the same version, however they are spread
    /// over files.
    package let version: String
    package let settings: GatewaySettings
    package let routes: RouteTable
    /// By id.
    package let organizations: [String: Organization]
    /// The limits as defined, without plans and overrides, in the order of their index.
    package let limits: [LimitRule]
    /// Every rule of every limit, as defined and as plans and overrides change it, by position.
    package let limitRules: [LimitRule]
    package let concurrency: ConcurrencyMatrix
    package let jobStatuses: JobStatuses
    /// The declared scopes.
    package let scopes: [String]
    let tokens: TokenTable

    init(
        version: String, settings: GatewaySettings, routes: RouteTable, organizations: [String: Organization],
        limits: [LimitRule], limitRules: [LimitRule], concurrency: ConcurrencyMatrix,
        jobStatuses: JobStatuses, scopes: [String],
        tokens: TokenTable
    ) {
        self.version = version
        self.settings = settings
        self.routes = routes
        self.organizations = organizations
        self.limits = limits
        self.limitRules = limitRules
        self.concurrency = concurrency
        self.jobStatuses = jobStatuses
        self.scopes = scopes
        self.tokens = tokens
    }

    package var tokenCount: Int { tokens.count }

    /// The longest `responseHead` timeout of all routes; zero if the upstream is in this process.
    package var maxResponseHead: Duration {
        guard let upstream = settings.upstream else { return .zero }
        return routes.routes.compactMap(\.timeouts.responseHead).reduce(upstream.timeouts.responseHead, max)
    }

    /// The first 16 digits of the version, for headers and logs.
    package var shortVersion: String { String(version.prefix(16)) }
}

extension PolicySet {
    /// Decides one request; the first check that fails decides.
    ///
    /// A pure function of the policy and the facts: no clock, no counters, no I/O. Rate limits and
    /// leases hold state, so the pipeline enforces them from the returned ``Grant``. `path` is the raw
    /// path without its query; `now` counts seconds since the epoch.
    package func decide(
        method: Span<UInt8>, path: Span<UInt8>, credential: Credential, organizationHeader: String?, now: Int64
    ) -> Decision {
        switch routes.match(method: method, path: path) {
        case .notFound(let family): return .refuse(.noRoute(family))
        case .methodNotAllowed(let allow, let family): return .refuse(.methodNotAllowed(allow: allow, family))
        case .ambiguousPath(let family): return .refuse(.ambiguousPath(family))
        case .options(let allow, let family): return .options(allow: allow, family)
        case .route(let route, let captures):
            guard !route.isPublic else { return allow(grant(route, captures)) }
            switch authenticate(credential, now: now) {
            case .failure(let failure):
                return .refuse(.unauthenticated(route, failure))
            case .principal(let principal):
                return authorize(
                    principal, on: route, captures: captures, path: path, organizationHeader: organizationHeader,
                    now: now)
            }
        }
    }

    /// The grant of a public route.
    package func grant(_ route: Route, _ captures: RouteCaptures) -> Grant {
        precondition(route.isPublic, "only a public route is open without a principal")
        return Grant(
            route: route, captures: captures, principal: nil, organization: nil, limits: RouteLimits(rules: []))
    }

    /// Checks that a principal may act for the organization and has the scopes of the route.
    ///
    /// The organization is the one in the path. If the path has none, it is the token's; of several,
    /// `X-Organization-ID` selects one. If the path has one, the header must name the same, because some upstreams use
    /// the header.
    package func authorize(
        _ principal: Principal, on route: Route, captures: RouteCaptures, path: Span<UInt8>,
        organizationHeader: String?,
        now: Int64
    ) -> Decision {
        let organization: Organization
        if let range = captures.organization {
            let asked = path.extracting(range)
            guard let own = principal.organization(named: asked) else {
                return .refuse(.organizationDenied(route, principal, asked: text(of: asked)))
            }
            if let organizationHeader, !organizationHeader.isEmpty, !own.id.hasSameBytes(as: organizationHeader) {
                return .refuse(.organizationDenied(route, principal, asked: organizationHeader))
            }
            organization = own
        } else if let organizationHeader, !organizationHeader.isEmpty {
            guard let own = principal.organizations.first(where: { $0.id.hasSameBytes(as: organizationHeader) }) else {
                return .refuse(.organizationDenied(route, principal, asked: organizationHeader))
            }
            organization = own
        } else if principal.organizations.count == 1 {
            organization = principal.organizations[0]
        } else {
            return .refuse(.ambiguousOrganization(route, principal))
        }
        guard principal.scopes.isSuperset(of: route.scopes) else {
            return .refuse(.insufficientScope(route, principal, organization, required: route.scopeText))
        }
        return allow(
            Grant(
                route: route, captures: captures, principal: principal, organization: organization,
                limits: organization.routeLimits(on: route, now: now)))
    }

    private func allow(_ grant: consuming Grant) -> Decision {
        if let status = grant.route.respondStatus { return .respond(status: status, grant) }
        return .forward(grant)
    }

    private func text(of bytes: Span<UInt8>) -> String {
        var copy: [UInt8] = []
        for index in bytes.indices { copy.append(bytes[index]) }
        return String(decoding: copy, as: UTF8.self)
    }
}

extension Principal {
    fileprivate func organization(named name: Span<UInt8>) -> Organization? {
        for organization in organizations where organization.isNamed(name) { return organization }
        return nil
    }
}
