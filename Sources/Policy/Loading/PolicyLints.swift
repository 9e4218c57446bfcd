extension PolicyValidation {
    /// Warns of policies that are valid but cannot be intended.
    func lint() {
        lintScopes()
        lintLimits()
        lintErrors()
        lintLeases()
        lintAccess()
        lintConflicts()
        lintBursts()
        lintCosts()
        lintConfirmations()
        lintJobStatuses()
        // The distinct scope sets of routes: few, so every token is compared with all of them.
        let needs = Set(documents.routes.filter { !$0.isPublic }.map { ScopeSet($0.scopes, scopes) })
        for organization in documents.organizations {
            lintTokens(of: organization, needs: needs)
            for change in organization.overrides {
                guard let until = change.until, until.value <= now else { continue }
                diagnostics.warning(
                    .expiredOverride, "the override of \"\(change.limit.value)\" has ended", at: until.span,
                    help: ["it has no effect: remove it"])
            }
        }
    }

    private func lintScopes() {
        let required = Set(documents.routes.flatMap(\.scopes).map(\.value))
        for scope in documents.scopes where !required.contains(scope.name) {
            diagnostics.warning(
                .unusedScope, "no route requires scope \"\(scope.name)\"", at: scope.span,
                help: ["it permits nothing: remove it, or require it in a route"])
        }
    }

    private func lintTokens(of organization: OrganizationDocument, needs: Set<ScopeSet>) {
        for token in organization.tokens {
            if let expires = token.expires, expires.value <= now {
                diagnostics.warning(
                    .expiredToken, "token \"\(organization.id)/\(token.name)\" has expired", at: expires.span,
                    help: ["it is refused: remove it, or create a new one"])
            }
            let held = ScopeSet(token.scopes, scopes)
            if !needs.contains(where: { held.isSuperset(of: $0) }) {
                diagnostics.warning(
                    .tokenOpensNothing, "the scopes of token \"\(organization.id)/\(token.name)\" permit no route",
                    at: token.span, help: ["add all scopes of a route that the token needs, or remove the token"])
            }
        }
    }

    private func lintLimits() {
        let changed = Set(
            documents.plans.flatMap(\.changes).map(\.limit.value)
                + documents.organizations.flatMap(\.overrides).map(\.limit.value))
        for limit in documents.limits {
            let routes = documents.routes.filter { limit.applies(to: $0) }
            if routes.isEmpty {
                let reason =
                    limit.per.contains(.connection)
                    ? ["it counts per connection, but none of its routes has a \"connection\""]
                    : ["all its routes are public, and public routes have no limits"]
                diagnostics.warning(
                    .limitNeverBinds, "limit \"\(limit.name)\" applies to no route", at: limit.span, help: reason)
                continue
            }
            let tighter = documents.limits.first { other in
                other.name != limit.name && other.mode == .enforce && other.per == limit.per
                    && !changed.contains(other.name) && !changed.contains(limit.name)
                    && (other.charge == limit.charge || other.charge == .calls)
                    && other.rate.perSecond <= limit.rate.perSecond && other.effectiveBurst <= limit.effectiveBurst
                    && (other.rate.perSecond, other.effectiveBurst, other.name) < (
                        limit.rate.perSecond, limit.effectiveBurst, limit.name
                    )
                    && routes.allSatisfy { other.applies(to: $0) }
            }
            if let tighter {
                diagnostics.warning(
                    .limitNeverBinds, "limit \"\(limit.name)\" has no effect: \"\(tighter.name)\" always refuses first",
                    at: limit.span, help: ["\"\(tighter.name)\" is at \(diagnostics.location(of: tighter.span))"])
            }
        }
    }
}

extension PolicyValidation {
    /// Warns of error rules that no error can reach.
    private func lintErrors() {
        for (index, rule) in documents.errors.enumerated() {
            let routes = documents.routes.filter(rule.applies)
            if routes.isEmpty {
                diagnostics.warning(
                    .errorRuleNeverMatches, "error rule \"\(rule.name)\" applies to no route", at: rule.span,
                    help: ["the gateway itself responds on all its routes, so there is no upstream error"])
                continue
            }
            let earlier = documents.errors[..<index].filter { other in
                other.statuses.overlaps(rule.statuses) && other.matchesEveryBody(of: rule)
                    && routes.contains(where: other.applies)
            }
            let isTaken = routes.allSatisfy { route in
                let takers = earlier.filter { $0.applies(to: route) }
                return rule.statuses.allSatisfy { status in takers.contains { $0.statuses.contains(status) } }
            }
            guard isTaken else { continue }
            let spans = earlier.prefix(3).map { "\"\($0.name)\" is at \(diagnostics.location(of: $0.span))" }
            diagnostics.warning(
                .errorRuleNeverMatches, "error rule \"\(rule.name)\" never matches: earlier rules match all its errors",
                at: rule.span, help: ["rules are tried in the order of their names"] + spans)
        }
    }
}

extension PolicyValidation {
    /// Warns of families whose jobs the gateway cannot poll, or polls without a credential: their leases may never end.
    private func lintLeases() {
        guard documents.settings.upstream != nil else { return }
        let lasting = Set(documents.leases.filter { $0.lifetime == .job }.map(\.name))
        if let span = documents.anonymousPolls,
            documents.routes.contains(where: { $0.lease.map { lasting.contains($0.value) } ?? false })
        {
            diagnostics.warning(
                .anonymousPolls, "the gateway polls this upstream for jobs without a credential", at: span,
                help: [
                    "if the upstream refuses these polls, leases do not end and their connections keep getting 409",
                    "set \"ownCredential\" to a secret that can read the jobs of every organization",
                    "or write ownCredential: \"none\" if the upstream shows its jobs without a credential",
                ])
        }
        let polled = Set(documents.routes.filter(\.showsJobs).map(\.family))
        var reported: Set<RouteFamily> = []
        for route in documents.routes where !polled.contains(route.family) {
            guard let lease = route.lease, lasting.contains(lease.value), reported.insert(route.family).inserted else {
                continue
            }
            diagnostics.warning(
                .unpolledLeases,
                "leases of family \"\(route.family.rawValue)\" may never end: the gateway has no route to poll for jobs",
                at: lease.span,
                help: [
                    "add jobStatus: \"jobs\" to a GET route of the family "
                        + "whose path has no variables other than {organization} and {connection}"
                ])
        }
    }
}

extension RouteDocument {
    /// Whether the gateway can poll this route for the jobs of a connection.
    fileprivate var showsJobs: Bool {
        guard jobStatus == .jobs, let asked = patterns.first(where: { $0.value.methods.contains(.get) }) else {
            return false
        }
        return PathTemplate(asked.value).map { !$0.hasJob } ?? false
    }
}

extension ScopeSet {
    init(_ names: [Located<String>], _ index: [String: Int]) {
        self.init(rawValue: names.reduce(0) { $0 | (index[$1.value].map { 1 << UInt64($0) } ?? 0) })
    }
}

extension LimitDocument {
    /// Whether requests of this route count against the limit.
    func applies(to route: RouteDocument) -> Bool {
        if route.isPublic || (per.contains(.connection) && route.connection == .none) { return false }
        guard let classes else { return true }
        return classes.contains { $0.value == route.limitClass?.value }
    }

    /// The burst in force without plans and overrides.
    var effectiveBurst: Int { EffectiveLimit(self).effectiveBurst }
}
