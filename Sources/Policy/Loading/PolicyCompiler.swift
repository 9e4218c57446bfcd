/// Turns checked documents into a policy set.
struct PolicyCompiler {
    let documents: PolicyDocuments
    let diagnostics: DiagnosticCollector
    private let scopes: [String: Int]
    private let plans: [String: PlanDocument]
    /// The limits as defined.
    private let base: [LimitRule]
    private let rules: LimitRuleList
    /// For each route, the limits that its requests count against, and what one takes from each.
    private let applicable: [[(limit: Int, cost: Int)]]

    /// The documents must have passed validation.
    init(_ documents: PolicyDocuments, _ diagnostics: DiagnosticCollector) {
        self.documents = documents
        self.diagnostics = diagnostics
        var scopes: [String: Int] = [:]
        for (index, scope) in documents.scopes.enumerated() { scopes[scope.name] = index }
        self.scopes = scopes
        var plans: [String: PlanDocument] = [:]
        for plan in documents.plans { plans[plan.name] = plan }
        self.plans = plans
        applicable = documents.routes.map { route in
            documents.limits.indices.filter { documents.limits[$0].applies(to: route) }.map { limit in
                (limit, route.cost?.cost(on: documents.limits[limit].name)?.value ?? 1)
            }
        }
        var highestCosts = documents.limits.map { _ in 1 }
        for (limit, cost) in applicable.joined() { highestCosts[limit] = max(highestCosts[limit], cost) }
        let rules = LimitRuleList(documents.limits, highestCosts: highestCosts, diagnostics)
        self.rules = rules
        base = documents.limits.indices.map {
            let limit = EffectiveLimit(documents.limits[$0])
            return rules.rule(limit, $0, mode: limit.mode == .enforce ? .enforce : .observe)
        }
    }

    func compile(version: String, servicePaths: [String]) -> PolicySet {
        let concurrency = compileConcurrency()
        let routes = compileRoutes(concurrency)
        let organizations = compileOrganizations()
        return PolicySet(
            version: version, settings: documents.settings,
            routes: RouteTable(
                routes: routes, patterns: documents.routes.map { $0.patterns.map(\.value) }, servicePaths: servicePaths),
            organizations: organizations, limits: base, limitRules: rules.all, concurrency: concurrency,
            jobStatuses: JobStatuses(documents.jobStatuses),
            scopes: documents.scopes.map(\.name), tokens: compileTokens(organizations))
    }

    private func compileConcurrency() -> ConcurrencyMatrix {
        let leases = documents.leases
        return ConcurrencyMatrix(
            kinds: leases.enumerated().map {
                LeaseKind(index: $0, name: $1.name, lifetime: $1.lifetime, settleTime: $1.settleTime)
            },
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
                scopeNames: route.scopes.map { ($0.value, ScopeSet([$0], scopes)) },
                limitClass: route.limitClass?.value, lease: route.lease.flatMap { concurrency.kind(named: $0.value) },
                resendWindow: resendWindow(of: route, concurrency), onConflict: route.onConflict,
                idempotency: route.idempotency ?? (route.lease == nil ? .ignore : .allow),
                connection: route.connection, confirmation: route.confirmation?.value,
                maxBodyBytes: route.maxBodyBytes ?? bodyBytes,
                respondStatus: route.respondStatus,
                jobStatus: route.jobStatus, timeouts: route.timeouts, errors: errors[index], owner: route.owner,
                source: diagnostics.source(of: route.span)
            )
        }
    }

    /// Only a lease that lasts for a job has a job to show.
    private func resendWindow(of route: RouteDocument, _ concurrency: ConcurrencyMatrix) -> Duration? {
        let kind = route.lease.flatMap { concurrency.kind(named: $0.value) }
        return kind?.lifetime == .job && route.resendWindow > .zero ? route.resendWindow : nil
    }

    /// The error rules of each route. Routes with the same rules share one list, so a rule for all routes is stored
    /// once.
    private func compileErrors() -> [[ErrorRule]] {
        let rules = documents.errors.map { rule in
            ErrorRule(
                name: rule.name, statuses: rule.statuses, field: rule.field, pattern: rule.pattern,
                replacement: rule.replacement,
                showsOriginalError: rule.showsOriginalError, source: diagnostics.source(of: rule.span))
        }
        var lists: [[Int]: [ErrorRule]] = [[]: []]
        return documents.routes.map { route in
            let own = documents.errors.indices.filter { documents.errors[$0].applies(to: route) }
            let list = lists[own] ?? own.map { rules[$0] }
            lists[own] = list
            return list
        }
    }

    private func compileOrganizations() -> [String: Organization] {
        // Most organizations have no overrides, and share the profile of their plan with those that have the same modes.
        struct Group: Hashable {
            let plan: String?
            /// Of the limits that only a share of the organizations has enforced.
            let modes: [LimitRule.Mode]
        }
        var shared: [String?: [EffectiveLimit]] = [:]
        var profiles: [Group: LimitProfile] = [:]
        let index = limitIndex
        var organizations: [String: Organization] = [:]
        organizations.reserveCapacity(documents.organizations.count)
        for organization in documents.organizations {
            let plan = organization.plan?.value
            let limits = shared[plan] ?? self.limits(of: plan, index)
            shared[plan] = limits
            let group = Group(
                plan: plan,
                modes: limits.indices.filter { limits[$0].mode.isShared }.map { mode(limits[$0], $0, organization.id) })
            let profile = profiles[group] ?? self.profile(limits, for: organization.id)
            profiles[group] = profile
            organizations[organization.id] = Organization(
                id: organization.id, plan: plan, jobCaps: jobCaps(of: organization),
                limits: timeline(organization, limits, index) + [(until: .max, profile: profile)])
        }
        return organizations
    }

    private func jobCaps(of organization: OrganizationDocument) -> [JobCap] {
        documents.jobCaps.map { cap in
            JobCap(
                name: cap.name, scope: cap.scope,
                max: organization.jobCaps.first { $0.name.value == cap.name }?.max ?? cap.max)
        }
    }

    private func limits(of plan: String?, _ index: [String: Int]) -> [EffectiveLimit] {
        var limits = documents.limits.map(EffectiveLimit.init)
        for change in plan.flatMap({ plans[$0] })?.changes ?? [] {
            if let limit = index[change.limit.value] { limits[limit].apply(change) }
        }
        return limits
    }

    /// The profiles until the end of each override, in the order of time.
    private func timeline(
        _ organization: OrganizationDocument, _ limits: [EffectiveLimit], _ index: [String: Int]
    ) -> [(until: Int64, profile: LimitProfile)] {
        guard !organization.overrides.isEmpty else { return [] }
        var limits = limits
        var timeline: [(until: Int64, profile: LimitProfile)] = []
        // Of several overrides of one limit, the one that ends first is applied last: it wins.
        var rest = LimitChange.latestFirst(organization.overrides)[...]
        while let end = rest.first?.end {
            while let change = rest.first, change.end == end {
                rest.removeFirst()
                if let limit = index[change.limit.value] { limits[limit].apply(change) }
            }
            timeline.append((until: end, profile: profile(limits, for: organization.id)))
        }
        return timeline.reversed()
    }

    private func profile(_ limits: [EffectiveLimit], for organization: String) -> LimitProfile {
        let modes = limits.indices.map { mode(limits[$0], $0, organization) }
        return LimitProfile(
            byRoute: applicable.map { own in
                RouteLimits(
                    rules: own.map { rules.rule(limits[$0.limit], $0.limit, mode: modes[$0.limit], cost: $0.cost) })
            })
    }

    private var limitIndex: [String: Int] {
        var index: [String: Int] = [:]
        for (position, limit) in documents.limits.enumerated() { index[limit.name] = position }
        return index
    }

    private func mode(_ limit: EffectiveLimit, _ index: Int, _ organization: String) -> LimitRule.Mode {
        limit.mode.mode(of: documents.limits[index].name, for: organization)
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
                        tokenID: "\(document.id)/\(token.name)",
                        subject: token.subject.map { "\(document.id)/\($0.value)" }, organizations: [own] + others,
                        scopes: ScopeSet(token.scopes, scopes), expiresAt: token.expires?.value))
            }
        }
        return table
    }
}

/// The compiled limit rules, each with its position in the list. Equal rules are one.
private final class LimitRuleList {
    private struct Key: Hashable {
        let index: Int
        let rate: Rate
        let burst: Int
        let mode: LimitRule.Mode
        let cost: Int
    }

    private(set) var all: [LimitRule] = []
    private var known: [Key: LimitRule] = [:]
    private let limits: [LimitDocument]
    private let highestCosts: [Int]
    private let diagnostics: DiagnosticCollector

    init(_ limits: [LimitDocument], highestCosts: [Int], _ diagnostics: DiagnosticCollector) {
        self.limits = limits
        self.highestCosts = highestCosts
        self.diagnostics = diagnostics
    }

    /// The rule for a limit with its changes applied.
    func rule(_ limit: EffectiveLimit, _ index: Int, mode: LimitRule.Mode, cost: Int = 1) -> LimitRule {
        let key = Key(index: index, rate: limit.rate, burst: limit.effectiveBurst, mode: mode, cost: cost)
        if let rule = known[key] { return rule }
        let document = limits[index]
        let rule = LimitRule(
            name: document.name, index: index, per: document.per, count: limit.rate.count,
            periodSeconds: limit.rate.periodSeconds, burst: key.burst, mode: mode, charge: document.charge, cost: cost,
            highestCost: highestCosts[index], source: diagnostics.source(of: document.span), position: all.count)
        all.append(rule)
        known[key] = rule
        return rule
    }
}
