extension PolicyValidation {
    /// Finds what is allowed but cannot be meant.
    func lint() {
        lintScopes()
        lintLimits()
        lintErrors()
        lintLeases()
        lintAccess()
        lintConflicts()
        lintBursts()
        // What each route asks for: a handful of sets, asked for each token.
        let needs = Set(documents.routes.filter { !$0.isPublic }.map { ScopeSet($0.scopes, scopes) })
        for organization in documents.organizations {
            lintTokens(of: organization, needs: needs)
            for change in organization.overrides {
                guard let until = change.until, until.value <= now else { continue }
                report.warning(
                    .expiredOverride, "the override of \"\(change.limit.value)\" has ended", at: until.place,
                    help: ["it changes nothing any more; remove it"])
            }
        }
    }

    private func lintScopes() {
        let required = Set(documents.routes.flatMap(\.scopes).map(\.value))
        for scope in documents.scopes where !required.contains(scope.name) {
            report.warning(
                .unusedScope, "no route requires scope \"\(scope.name)\"", at: scope.place,
                help: ["a token that has it can do nothing more with it"])
        }
    }

    private func lintTokens(of organization: OrganizationDocument, needs: Set<ScopeSet>) {
        for token in organization.tokens {
            if let expires = token.expires, expires.value <= now {
                report.warning(
                    .expiredToken, "token \"\(organization.id)/\(token.name)\" has expired", at: expires.place,
                    help: ["it opens nothing any more; remove it or issue a new one"])
            }
            let held = ScopeSet(token.scopes, scopes)
            if !needs.contains(where: { held.isSuperset(of: $0) }) {
                report.warning(
                    .tokenOpensNothing, "the scopes of token \"\(organization.id)/\(token.name)\" open no route",
                    at: token.place)
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
                    ? ["it counts per connection, and none of its routes names one"]
                    : ["all its routes are public"]
                report.warning(
                    .limitNeverBinds, "limit \"\(limit.name)\" applies to no route", at: limit.place, help: reason)
                continue
            }
            let tighter = documents.limits.first { other in
                other.name != limit.name && other.mode == .enforce && other.per == limit.per
                    && !changed.contains(other.name) && !changed.contains(limit.name)
                    && (other.charge == limit.charge || other.charge == .calls)
                    && other.rate.pace <= limit.rate.pace && other.actualBurst <= limit.actualBurst
                    && (other.rate.pace, other.actualBurst, other.name) < (
                        limit.rate.pace, limit.actualBurst, limit.name
                    )
                    && routes.allSatisfy { other.applies(to: $0) }
            }
            if let tighter {
                report.warning(
                    .limitNeverBinds, "limit \"\(limit.name)\" never binds, \"\(tighter.name)\" always refuses first",
                    at: limit.place, help: ["\"\(tighter.name)\" is at \(report.location(of: tighter.place))"])
            }
        }
    }
}

extension PolicyValidation {
    /// Finds the error rules that no error can get to.
    private func lintErrors() {
        for (index, rule) in documents.errors.enumerated() {
            let routes = documents.routes.filter(rule.applies)
            if routes.isEmpty {
                report.warning(
                    .errorRuleNeverMatches, "error rule \"\(rule.name)\" applies to no route", at: rule.place,
                    help: ["the gateway answers on all its routes itself, so that there is no upstream error"])
                continue
            }
            let earlier = documents.errors[..<index].filter { other in
                other.statuses.overlaps(rule.statuses) && other.takesBodies(of: rule)
                    && routes.contains(where: other.applies)
            }
            let isTaken = routes.allSatisfy { route in
                let takers = earlier.filter { $0.applies(to: route) }
                return rule.statuses.allSatisfy { status in takers.contains { $0.statuses.contains(status) } }
            }
            guard isTaken else { continue }
            let places = earlier.prefix(3).map { "\"\($0.name)\" is at \(report.location(of: $0.place))" }
            report.warning(
                .errorRuleNeverMatches, "error rule \"\(rule.name)\" never matches, earlier ones take all its errors",
                at: rule.place, help: ["rules are tried in the order of their names"] + places)
        }
    }
}

extension PolicyValidation {
    /// Finds the families whose jobs a gateway in front of a remote upstream would never see end.
    private func lintLeases() {
        guard documents.settings.upstream != nil else { return }
        let lasting = Set(documents.leases.filter { $0.lifetime == .job }.map(\.name))
        if let place = documents.anonymousQuestions,
            documents.routes.contains(where: { $0.lease.map { lasting.contains($0.value) } ?? false })
        {
            report.warning(
                .anonymousQuestions, "the gateway asks this upstream about jobs without a credential", at: place,
                help: [
                    "where it refuses such questions, leases do not end, and their connections keep answering 409",
                    "give \"ownCredential\" a secret that can read the jobs of every organization",
                    "or write ownCredential: \"none\" where the upstream shows jobs to everybody who reaches it",
                ])
        }
        let watched = Set(documents.routes.filter(\.showsJobs).map(\.family))
        var told: Set<RouteFamily> = []
        for route in documents.routes where !watched.contains(route.family) {
            guard let lease = route.lease, lasting.contains(lease.value), told.insert(route.family).inserted else {
                continue
            }
            report.warning(
                .unwatchedLeases,
                "leases of family \"\(route.family.rawValue)\" may never end: the gateway cannot ask the upstream for jobs",
                at: lease.place,
                help: [
                    "a GET route of the family needs jobStatus: \"jobs\", "
                        + "and no other variables than {organization} and {connection} in its path"
                ])
        }
    }
}

extension RouteDocument {
    /// Whether the gateway can ask there which jobs of a connection run.
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
    /// Whether requests of this route use the limit up.
    func applies(to route: RouteDocument) -> Bool {
        if route.isPublic || (per.contains(.connection) && route.connection == .none) { return false }
        guard let classes else { return true }
        return classes.contains { $0.value == route.limitClass?.value }
    }

    /// The burst in force without plans and overrides.
    var actualBurst: Int { burst ?? rate.count }
}
