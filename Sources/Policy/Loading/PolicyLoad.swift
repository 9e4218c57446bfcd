/// The result of loading a policy set.
package enum PolicyLoad: Sendable {
    case loaded(PolicySet, warnings: [Diagnostic])
    /// At least one of the diagnostics is an error.
    case refused([Diagnostic])
}

extension PolicySet {
    /// Reads, checks and compiles a policy set, and reports the mistakes of all files at once.
    ///
    /// `sha256` is the hash function. `now`, in seconds since the epoch, only decides which tokens and overrides are
    /// reported as expired. `servicePaths` are the paths of the service behind the gateway, as policies write them;
    /// ``RouteCaptures/servicePath`` is a position in them. `problem` is called with each file name as the policies
    /// write it; a problem becomes a warning.
    package static func load(
        files: [PolicyFile], sha256: (Span<UInt8>) -> [UInt8], now: Int64, servicePaths: [String] = [],
        problem: (_ path: String) -> FileProblem? = { _ in nil }
    ) -> PolicyLoad {
        let sources = PolicyFiles(files: files)
        let documents = PolicyDocuments(sources)
        PolicyValidation(documents, sources.diagnostics, now: now).check()
        sources.lintNames()
        guard !sources.diagnostics.hasErrors else { return .refused(sources.diagnostics.all) }
        sources.diagnostics.lintFiles(problem)
        let version = sha256(sources.canonicalForm.span)
        let set = PolicyCompiler(documents, sources.diagnostics).compile(
            version: hexadecimal(version), servicePaths: servicePaths)
        return .loaded(set, warnings: sources.diagnostics.all)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// All documents of a policy set, read but not yet compared with each other.
struct PolicyDocuments {
    let settings: GatewaySettings
    /// See ``UpstreamDocument``.
    let anonymousPolls: SourceSpan?
    let scopes: [ScopeDocument]
    let routes: [RouteDocument]
    let limits: [LimitDocument]
    let plans: [PlanDocument]
    let leases: [LeaseDocument]
    let jobStatuses: [JobStatusDocument]
    let jobCaps: [JobCapDocument]
    /// In the order of their names, in which they are tried.
    let errors: [ErrorRuleDocument]
    /// Sorted by id, each once.
    let organizations: [OrganizationDocument]

    init(_ sources: PolicyFiles) {
        let diagnostics = sources.diagnostics
        let gateway = GatewayDocument(sources["gateway"], diagnostics)
        settings = gateway.settings
        anonymousPolls = gateway.anonymousPolls
        scopes = sources["scopes"].map { ScopeDocument($0, diagnostics) }
        routes = sources["routes"].compactMap { RouteDocument($0, diagnostics) }
        limits = sources["limits"].compactMap { LimitDocument($0, diagnostics) }
        plans = sources["plans"].compactMap { PlanDocument($0, diagnostics) }
        leases = sources["concurrency"].compactMap { LeaseDocument($0, diagnostics) }
        jobStatuses = sources["jobStatuses"].compactMap { JobStatusDocument($0, diagnostics) }
        jobCaps = sources["jobCaps"].compactMap { JobCapDocument($0, diagnostics) }
        errors = sources["errors"].compactMap { ErrorRuleDocument($0, diagnostics) }
        var organizations: [OrganizationDocument] = []
        let entries = sources["organizations"]
        var start = entries.startIndex
        while start < entries.endIndex {
            let first = entries[start]
            let end = entries[start...].firstIndex { $0.name != first.name } ?? entries.endIndex
            organizations.append(
                OrganizationDocument(entries[start..<end], id: first.name, span: first.nameSpan, diagnostics))
            start = end
        }
        self.organizations = organizations
    }
}
