internal import JSON

/// Checks the documents of a policy set against each other.
struct PolicyValidation {
    let documents: PolicyDocuments
    let diagnostics: DiagnosticCollector
    let now: Int64
    let scopes: [String: Int]
    private let limitNames: Set<String>
    private let leaseNames: Set<String>

    init(_ documents: PolicyDocuments, _ diagnostics: DiagnosticCollector, now: Int64) {
        self.documents = documents
        self.diagnostics = diagnostics
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
        checkCosts()
        checkLeases()
        checkJobCaps()
        checkOrganizations()
        checkErrors()
        // Lints judge the meaning, which a set with errors does not have.
        if !diagnostics.hasErrors { lint() }
    }

    private func checkNumbers() {
        func check(_ spans: [SourceSpan], _ what: String, limit: Int) {
            guard spans.count > limit else { return }
            diagnostics.error(
                .tooMany, "there are \(spans.count) \(what), but at most \(limit) are allowed", at: spans[limit])
        }
        check(documents.scopes.map(\.span), "scopes", limit: 64)
        check(documents.leases.map(\.span), "kinds of leases", limit: ConcurrencyMatrix.capacity)
        check(documents.routes.map(\.span), "routes", limit: 10_000)
        check(documents.errors.map(\.span), "error rules", limit: ErrorRuleDocument.capacity)
        if documents.routes.isEmpty, !diagnostics.hasErrors {
            diagnostics.error(
                .noRoutes, "no file defines a route", at: diagnostics.start,
                help: ["define the routes of the API in a section \"routes\"; is this the right folder?"])
        }
    }

    private func checkRoutes() {
        for route in documents.routes {
            for scope in route.scopes { checkScope(scope) }
            if let lease = route.lease, !leaseNames.contains(lease.value) {
                diagnostics.unknown(
                    .unknownLease, "kind of lease", lease, among: documents.leases.map { ($0.name, $0.span) },
                    section: "concurrency")
            }
            checkOnConflict(route)
        }
    }

    /// Only a lease that lasts for a job has a job to show.
    private func checkOnConflict(_ route: RouteDocument) {
        guard let span = route.onConflictSpan,
            route.onConflict.response == .attach || route.onConflict.response == .skip,
            let lease = documents.leases.first(where: { $0.name == route.lease?.value }), lease.lifetime == .request
        else { return }
        diagnostics.error(
            .conflictingFields,
            "route \"\(route.id)\" cannot respond with a running job: its lease \"\(lease.name)\" lasts only for a request",
            at: span, help: ["write \"fail\" or \"wait\""])
    }

    private func checkScope(_ scope: Located<String>) {
        guard scopes[scope.value] == nil else { return }
        diagnostics.unknown(
            .unknownScope, "scope", scope, among: documents.scopes.map { ($0.name, $0.span) }, section: "scopes")
    }

    /// Two routes must not have the same method and path; names of variables make no difference.
    private func checkPatterns() {
        struct Key: Hashable {
            let method: RouteMethods
            let path: [RoutePattern.Segment]
        }
        struct Owner {
            let route: RouteDocument
            let span: SourceSpan
        }
        var spelled: [Key: Owner] = [:]
        var anyMethod: [[RoutePattern.Segment]: Owner] = [:]
        for route in documents.routes {
            for pattern in route.patterns {
                let owner = Owner(route: route, span: pattern.span)
                let path = pattern.value.segments.map { segment in
                    if case .capture = segment { RoutePattern.Segment.capture(.any) } else { segment }
                }
                let first: Owner?
                if pattern.value.methods == .any {
                    first = anyMethod.updateValue(owner, forKey: path)
                } else {
                    var taken: Owner?
                    for (method, _) in RouteMethods.named where pattern.value.methods.contains(method) {
                        taken = spelled.updateValue(owner, forKey: Key(method: method, path: path)) ?? taken
                    }
                    first = taken
                }
                guard let first else { continue }
                diagnostics.error(
                    .duplicateRoute,
                    "route \"\(route.id)\" has the same method and path as route \"\(first.route.id)\"",
                    at: pattern.span, help: ["the other one is at \(diagnostics.location(of: first.span))"])
            }
        }
        for (path, owner) in anyMethod.sorted(by: { $0.value.route.id < $1.value.route.id })
        where RouteMethods.named.allSatisfy({ method, _ in
            !RouteMethods.any.contains(method) || spelled[Key(method: method, path: path)] != nil
        }) {
            diagnostics.warning(
                .shadowedRoute, "route \"\(owner.route.id)\" can never match", at: owner.span,
                help: ["other routes have the same path, and each method by name: remove this route"])
        }
    }

    private func checkPlans() {
        for plan in documents.plans {
            for change in plan.changes { checkLimit(change.limit) }
        }
    }

    func checkLimit(_ name: Located<String>) {
        guard !limitNames.contains(name.value) else { return }
        diagnostics.unknown(
            .unknownLimit, "limit", name, among: documents.limits.map { ($0.name, $0.span) }, section: "limits")
    }

    private func checkLeases() {
        for lease in documents.leases {
            for other in lease.conflicts where !leaseNames.contains(other.value) {
                diagnostics.unknown(
                    .unknownLease, "kind of lease", other, among: documents.leases.map { ($0.name, $0.span) },
                    section: "concurrency")
            }
        }
    }

    /// Metrics and logs show limits and job caps by name, so a name must not mean both.
    private func checkJobCaps() {
        for cap in documents.jobCaps {
            guard let limit = documents.limits.first(where: { $0.name == cap.name }) else { continue }
            diagnostics.error(
                .duplicateName, "job cap \"\(cap.name)\" has the name of a limit", at: cap.span,
                help: ["the limit is at \(diagnostics.location(of: limit.span)): rename one of them"])
        }
    }

    private func checkOrganizations() {
        let plans = Set(documents.plans.map(\.name))
        let organizations = Set(documents.organizations.map(\.id))
        var digests: [TokenDigest: (id: String, span: SourceSpan)] = [:]
        for organization in documents.organizations {
            if let plan = organization.plan, !plans.contains(plan.value) {
                diagnostics.unknown(
                    .unknownPlan, "plan", plan, among: documents.plans.map { ($0.name, $0.span) }, section: "plans")
            }
            for change in organization.overrides { checkLimit(change.limit) }
            for (name, _) in organization.jobCaps where !documents.jobCaps.contains(where: { $0.name == name.value }) {
                diagnostics.unknown(
                    .unknownLimit, "job cap", name, among: documents.jobCaps.map { ($0.name, $0.span) },
                    section: "jobCaps")
            }
            for token in organization.tokens {
                for scope in token.scopes { checkScope(scope) }
                for name in token.organizations { check(name, isOneOf: organizations, besides: organization.id) }
                guard let digest = token.digest else { continue }
                let id = "\(organization.id)/\(token.name)"
                if let first = digests.updateValue((id, digest.span), forKey: digest.value) {
                    diagnostics.error(
                        .duplicateToken, "token \"\(id)\" has the same hash as token \"\(first.id)\"", at: digest.span,
                        help: [
                            "the other one is at \(diagnostics.location(of: first.span))",
                            "to use one token for several organizations, list the others in its \"organizations\"",
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
                    diagnostics.error(
                        .unknownRoute, "\"*\" means every route, so no other name is allowed", at: name.span,
                        help: ["write on: \"*\", or remove \"*\""])
                    continue
                }
                diagnostics.unknown(
                    .unknownRoute, "route", name, among: documents.routes.map { ($0.id, $0.span) }, section: "routes")
            }
        }
    }

    private func check(_ name: Located<String>, isOneOf organizations: Set<String>, besides own: String) {
        if name.value == own {
            diagnostics.error(
                .badValue, "the token already belongs to organization \"\(own)\"", at: name.span,
                help: ["remove it: \"organizations\" lists only other organizations"])
        } else if !organizations.contains(name.value) {
            diagnostics.unknown(
                .unknownOrganization, "organization", name, among: documents.organizations.map { ($0.id, $0.span) },
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
        among known: [(name: String, span: SourceSpan)],
        section: String
    ) {
        guard !hasUnreadableFile else { return }
        let help = suggestion(for: name.value, among: known.map(\.name)) { nearest in
            known.first { $0.name == nearest }?.span
        }
        let names = known.count <= 8 ? known.map { "\"\($0.name)\"" }.joined(separator: ", ") : ""
        error(
            code, "unknown \(what) \"\(name.value)\"", at: name.span, label: "not defined in section \"\(section)\"",
            help: help.isEmpty && !names.isEmpty ? ["section \"\(section)\" defines \(names)"] : help)
    }
}
