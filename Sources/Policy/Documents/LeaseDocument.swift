/// A kind of lease as written.
struct LeaseDocument {
    let name: String
    let span: SourceSpan
    var conflicts: [Located<String>] = []
    var lifetime = LeaseKind.Lifetime.job
    var settleTime = LeaseDocument.defaultSettleTime

    /// See ``LeaseKind/settleTime``.
    static let defaultSettleTime = LeaseKind.defaultSettleTime

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "lease \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "a kind of lease", of: owner, shape: .lease, diagnostics) else {
            return nil
        }
        name = entry.name
        span = entry.nameSpan
        fields.require("conflicts", at: span)
        conflicts = fields.strings("conflicts")?.value ?? []
        lifetime = fields.word("lifetime", of: [("job", .job), ("request", .request)]) ?? .job
        settleTime = fields.duration("settle", atLeast: .zero) ?? Self.defaultSettleTime
        _ = fields.string("description")
    }
}
