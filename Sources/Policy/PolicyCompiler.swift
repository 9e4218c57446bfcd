/// Turns checked documents into a policy set.
struct PolicyCompiler {
    let documents: PolicyDocuments
    let report: PolicyReport
    private let scopes: [String: Int]
    private let plans: [String: PlanDocument]

    /// The documents must have passed validation.
    init(_ documents: PolicyDocuments, _ report: PolicyReport) {
        self.documents = documents
        self.report = report
        var scopes: [String: Int] = [:]
        for (index, scope) in documents.scopes.enumerated() { scopes[scope.name] = index }
        self.scopes = scopes
        var plans: [String: PlanDocument] = [:]
        for plan in documents.plans { plans[plan.name] = plan }
        self.plans = plans
    }

    func compile(version: String) -> PolicySet {
        let concurrency = compileConcurrency()
        let routes = compileRoutes(concurrency)
        let base = documents.limits.enumerated().map { index, limit in rule(limit, index, changes: []) }
        let organizations = compileOrganizations(base)
        return PolicySet(
            version: version, settings: documents.settings,
            routes: RouteTable(routes: routes, patterns: documents.routes.map { $0.patterns.map(\.value) }),
            organizations: organizations, limits: base, concurrency: concurrency,
            scopes: documents.scopes.map(\.name), tokens: compileTokens(organizations))
    }

    private func compileConcurrency() -> ConcurrencyMatrix {
        let leases = documents.leases
        return ConcurrencyMatrix(
            kinds: leases.enumerated().map { LeaseKind(index: $0, name: $1.name, holds: $1.holds) },
            conflicts: leases.map { lease in
                lease.conflicts.compactMap { other in leases.firstIndex { $0.name == other.value } }
            })
    }

    private func compileRoutes(_ concurrency: ConcurrencyMatrix) -> [Route] {
        let sizes = documents.settings.sizes
        let errors = compileErrors()
        return documents.routes.enumerated().map { index, route in
            var bodyBytes = sizes.bodyBytes
            if case .body = route.connection { bodyBytes = sizes.inspectedBodyBytes }
            return Route(
                id: route.id, index: index, family: route.family, isPublic: route.isPublic,
                scopes: ScopeSet(route.scopes, scopes), scopeText: route.scopes.map(\.value).joined(separator: " "),
                limitClass: route.limitClass?.value, lease: route.lease.flatMap { concurrency.kind(named: $0.value) },
                connection: route.connection, maxBodyBytes: route.maxBodyBytes ?? bodyBytes, answer: route.answer,
                shows: route.shows, timeouts: route.timeouts, errors: errors[index], owner: route.owner,
                source: report.source(of: route.place)
            )
        }
    }

    /// The rules of each route. Routes that have the same share one list: a rule for all routes is there once.
    private func compileErrors() -> [[ErrorRule]] {
        let rules = documents.errors.map { rule in
            ErrorRule(
                name: rule.name, statuses: rule.statuses, field: rule.field, pattern: rule.pattern, answer: rule.answer,
                showsUpstream: rule.showsUpstream, source: report.source(of: rule.place))
        }
        var lists: [[Int]: [ErrorRule]] = [[]: []]
        return documents.routes.map { route in
            let own = documents.errors.indices.filter { documents.errors[$0].applies(to: route) }
            let list = lists[own] ?? own.map { rules[$0] }
            lists[own] = list
            return list
        }
    }

    private func compileOrganizations(_ base: [LimitRule]) -> [String: Organization] {
        // Most organizations have no overrides and share the profile of their plan.
        var shared: [String?: LimitProfile] = [:]
        var organizations: [String: Organization] = [:]
        organizations.reserveCapacity(documents.organizations.count)
        for organization in documents.organizations {
            let plan = organization.plan?.value
            let profile = shared[plan] ?? self.profile(base, plan: plan, overrides: [])
            shared[plan] = profile
            organizations[organization.id] = Organization(
                id: organization.id, plan: plan,
                limits: timeline(organization.overrides, base, plan: plan) + [(until: .max, profile: profile)])
        }
        return organizations
    }

    /// The limits until the end of each override.
    private func timeline(
        _ overrides: [LimitChange], _ base: [LimitRule], plan: String?
    ) -> [(until: Int64, profile: LimitProfile)] {
        let ends = Set(overrides.compactMap(\.until?.value)).sorted()
        return ends.map { end in
            // Of several on one limit the one that ends first is worked in last: it wins.
            let inForce = overrides.filter { ($0.until?.value ?? .max) >= end }
                .sorted { ($0.until?.value ?? .max) > ($1.until?.value ?? .max) }
            return (until: end, profile: profile(base, plan: plan, overrides: inForce))
        }
    }

    private func profile(_ base: [LimitRule], plan: String?, overrides: [LimitChange]) -> LimitProfile {
        let changes = (plan.flatMap { plans[$0] }?.changes ?? []) + overrides
        let rules = zip(base, documents.limits).map { rule, limit in
            let own = changes.filter { $0.limit.value == limit.name }
            return own.isEmpty ? rule : self.rule(limit, rule.index, changes: own)
        }
        return LimitProfile(
            byRoute: documents.routes.map { route in
                RouteLimits(rules: zip(rules, documents.limits).filter { $1.applies(to: route) }.map { $0.0 })
            })
    }

    private func rule(_ limit: LimitDocument, _ index: Int, changes: [LimitChange]) -> LimitRule {
        var (rate, burst, mode) = (limit.rate, limit.burst, limit.mode)
        for change in changes {
            rate = change.rate ?? rate
            burst = change.burst ?? burst
            mode = change.mode ?? mode
        }
        return LimitRule(
            name: limit.name, index: index, per: limit.per, count: rate.count, periodSeconds: rate.periodSeconds,
            burst: burst ?? rate.count, mode: mode, charge: limit.charge, source: report.source(of: limit.place))
    }

    private func compileTokens(_ organizations: [String: Organization]) -> TokenTable {
        var table = TokenTable(capacity: documents.organizations.reduce(0) { $0 + $1.tokens.count })
        for document in documents.organizations {
            guard let own = organizations[document.id] else { continue }
            for token in document.tokens {
                guard let digest = token.digest else { continue }
                let others = token.organizations.compactMap { organizations[$0.value] }
                table.insert(
                    digest.value,
                    Principal(
                        tokenID: "\(document.id)/\(token.name)", organizations: [own] + others,
                        scopes: ScopeSet(token.scopes, scopes), expiresAt: token.expires?.value))
            }
        }
        return table
    }
}
