internal import JSON

/// Checks the documents of a policy set against each other.
struct PolicyValidation {
    let documents: PolicyDocuments
    let report: DiagnosticCollector
    let now: Int64
    let scopes: [String: Int]
    private let limitNames: Set<String>
    private let leaseNames: Set<String>

    init(_ documents: PolicyDocuments, _ report: DiagnosticCollector, now: Int64) {
        self.documents = documents
        self.report = report
        self.now = now
        var scopes: [String: Int] = [:]
        for (index, scope) in documents.scopes.enumerated() { scopes[scope.name] = index }
        self.scopes = scopes
        limitNames = Set(documents.limits.map(\.name))
        leaseNames = Set(documents.leases.map(\.name))
    }

    func check() {
        checkNumbers()
        checkRoutes()
        checkPatterns()
        checkClasses()
        checkPlans()
        checkLeases()
        checkOrganizations()
        checkErrors()
        // Lints look at the meaning, which a set with mistakes does not have yet.
        if !report.hasErrors { lint() }
    }

    private func checkNumbers() {
        func check(_ places: [SourceSpan], _ what: String, most: Int) {
            guard places.count > most else { return }
            report.error(.tooMany, "there are \(places.count) \(what), at most \(most) are possible", at: places[most])
        }
        check(documents.scopes.map(\.place), "scopes", most: 64)
        check(documents.leases.map(\.place), "kinds of leases", most: ConcurrencyMatrix.capacity)
        check(documents.routes.map(\.place), "routes", most: 10_000)
        check(documents.errors.map(\.place), "error rules", most: ErrorRuleDocument.capacity)
        if documents.routes.isEmpty, !report.hasErrors {
            report.error(
                .noRoutes, "no file defines a route", at: report.start, help: ["the section \"routes\" holds the API"])
        }
    }

    private func checkRoutes() {
        for route in documents.routes {
            for scope in route.scopes { checkScope(scope) }
            if let lease = route.lease, !leaseNames.contains(lease.value) {
                report.unknown(
                    .unknownLease, "kind of lease", lease, among: documents.leases.map { ($0.name, $0.place) },
                    section: "concurrency")
            }
        }
    }

    private func checkScope(_ scope: Located<String>) {
        guard scopes[scope.value] == nil else { return }
        report.unknown(
            .unknownScope, "scope", scope, among: documents.scopes.map { ($0.name, $0.place) }, section: "scopes")
    }

    /// Two routes must not have the same method and path; names of variables make no difference.
    private func checkPatterns() {
        struct Key: Hashable {
            let method: RouteMethods
            let path: [RoutePattern.Segment]
        }
        struct Owner {
            let route: RouteDocument
            let place: SourceSpan
        }
        var spelled: [Key: Owner] = [:]
        var starred: [[RoutePattern.Segment]: Owner] = [:]
        for route in documents.routes {
            for pattern in route.patterns {
                let owner = Owner(route: route, place: pattern.place)
                let path = pattern.value.segments.map { segment in
                    if case .capture = segment { RoutePattern.Segment.capture(.any) } else { segment }
                }
                let first: Owner?
                if pattern.value.methods == .any {
                    first = starred.updateValue(owner, forKey: path)
                } else {
                    var taken: Owner?
                    for (method, _) in RouteMethods.named where pattern.value.methods.contains(method) {
                        taken = spelled.updateValue(owner, forKey: Key(method: method, path: path)) ?? taken
                    }
                    first = taken
                }
                guard let first else { continue }
                report.error(
                    .duplicateRoute,
                    "route \"\(route.id)\" has the same method and path as route \"\(first.route.id)\"",
                    at: pattern.place, help: ["the other one is at \(report.location(of: first.place))"])
            }
        }
        for (path, owner) in starred.sorted(by: { $0.value.route.id < $1.value.route.id })
        where RouteMethods.named.allSatisfy({ method, _ in
            !RouteMethods.any.contains(method) || spelled[Key(method: method, path: path)] != nil
        }) {
            report.warning(
                .shadowedRoute, "route \"\(owner.route.id)\" can never match", at: owner.place,
                help: ["other routes have the same path with every method spelled out"])
        }
    }

    private func checkPlans() {
        for plan in documents.plans {
            for change in plan.changes { checkLimit(change.limit) }
        }
    }

    private func checkLimit(_ name: Located<String>) {
        guard !limitNames.contains(name.value) else { return }
        report.unknown(
            .unknownLimit, "limit", name, among: documents.limits.map { ($0.name, $0.place) }, section: "limits")
    }

    private func checkLeases() {
        for lease in documents.leases {
            for other in lease.conflicts where !leaseNames.contains(other.value) {
                report.unknown(
                    .unknownLease, "kind of lease", other, among: documents.leases.map { ($0.name, $0.place) },
                    section: "concurrency")
            }
        }
    }

    private func checkOrganizations() {
        let plans = Set(documents.plans.map(\.name))
        let organizations = Set(documents.organizations.map(\.id))
        var digests: [TokenDigest: (id: String, place: SourceSpan)] = [:]
        for organization in documents.organizations {
            if let plan = organization.plan, !plans.contains(plan.value) {
                report.unknown(
                    .unknownPlan, "plan", plan, among: documents.plans.map { ($0.name, $0.place) }, section: "plans")
            }
            for change in organization.overrides { checkLimit(change.limit) }
            for token in organization.tokens {
                for scope in token.scopes { checkScope(scope) }
                for name in token.organizations { check(name, isOneOf: organizations, besides: organization.id) }
                guard let digest = token.digest else { continue }
                let id = "\(organization.id)/\(token.name)"
                if let first = digests.updateValue((id, digest.place), forKey: digest.value) {
                    report.error(
                        .duplicateToken, "token \"\(id)\" has the hash of token \"\(first.id)\"", at: digest.place,
                        help: [
                            "the other one is at \(report.location(of: first.place))",
                            "one token for several organizations lists the others in \"organizations\"",
                        ])
                }
            }
        }
    }

    private func checkErrors() {
        let known = Set(documents.routes.map(\.id))
        for rule in documents.errors {
            for name in rule.routes ?? [] where !known.contains(name.value) {
                guard name.value != "*" else {
                    report.error(.unknownRoute, "\"*\" stands alone", at: name.place, help: ["write on: \"*\""])
                    continue
                }
                report.unknown(
                    .unknownRoute, "route", name, among: documents.routes.map { ($0.id, $0.place) }, section: "routes")
            }
        }
    }

    private func check(_ name: Located<String>, isOneOf organizations: Set<String>, besides own: String) {
        if name.value == own {
            report.error(
                .badValue, "the token is listed under organization \"\(own)\" already", at: name.place,
                help: ["\"organizations\" lists only further ones"])
        } else if !organizations.contains(name.value) {
            report.unknown(
                .unknownOrganization, "organization", name, among: documents.organizations.map { ($0.id, $0.place) },
                section: "organizations")
        }
    }
}

extension DiagnosticCollector {
    /// Where the first file starts.
    var start: SourceSpan { SourceSpan(file: 0, range: .init(lowerBound: 0, upperBound: 1)) }

    /// Reports the use of a name that no file defines.
    func unknown(
        _ code: DiagnosticCode, _ what: String, _ name: Located<String>,
        among known: [(name: String, place: SourceSpan)],
        section: String
    ) {
        guard !isIncomplete else { return }
        let help = suggestion(for: name.value, among: known.map(\.name)) { nearest in
            known.first { $0.name == nearest }?.place
        }
        let names = known.count <= 8 ? known.map { "\"\($0.name)\"" }.joined(separator: ", ") : ""
        error(
            code, "unknown \(what) \"\(name.value)\"", at: name.place, label: "not defined in section \"\(section)\"",
            help: help.isEmpty && !names.isEmpty ? ["defined are \(names)"] : help)
    }
}
