/// A kind of lease as written.
struct LeaseDocument {
    let name: String
    let span: SourceSpan
    var conflicts: [Located<String>] = []
    var lifetime = LeaseKind.Lifetime.job

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        IdentifierRule.check(entry.name, .identifier, "a kind of lease", at: entry.nameSpan, diagnostics)
        let fields = ObjectReader(
            entry.value, at: entry.span, of: "lease \"\(entry.name)\"",
            shape: .lease, diagnostics: diagnostics)
        guard let fields else { return nil }
        name = entry.name
        span = entry.nameSpan
        fields.require("conflicts", at: span)
        conflicts = fields.strings("conflicts")?.value ?? []
        lifetime = fields.word("lifetime", of: [("job", .job), ("request", .request)]) ?? .job
        _ = fields.string("description")
    }
}
