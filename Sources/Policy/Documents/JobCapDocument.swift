/// A cap of running jobs as written.
struct JobCapDocument {
    let name: String
    let span: SourceSpan
    var scope = JobCap.Scope.organization
    var max = 1

    /// More jobs than any gateway keeps leases for.
    static let maxJobs = 1_000_000

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "job cap \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "a job cap", of: owner, shape: .jobCap, diagnostics) else { return nil }
        name = entry.name
        span = entry.nameSpan
        IdentifierRule.check(name, .identifier, "a job cap", at: span, diagnostics)
        fields.require("per", at: span)
        fields.require("max", at: span)
        scope = fields.word("per", of: JobCap.Scope.allCases.map { ($0.rawValue, $0) }) ?? .organization
        max = fields.integer("max", in: 1...Int64(Self.maxJobs))?.value ?? 1
        _ = fields.string("description")
    }
}
