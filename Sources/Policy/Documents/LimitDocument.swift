internal import JSON

/// A rate limit as written.
struct LimitDocument {
    let name: String
    let span: SourceSpan
    /// `nil`: every route that is not public.
    var classes: [Located<String>]?
    var per: LimitDimensions = []
    var rate: Rate
    /// `nil`: the count of the rate.
    var burst: Int?
    var mode = LimitMode.enforce
    var charge = LimitRule.Charge.work

    static let dimensions: [(String, LimitDimensions)] = [
        ("organization", .organization), ("connection", .connection), ("token", .token), ("operation", .operation),
    ]

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "limit \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "a limit", of: owner, shape: .limit, diagnostics) else { return nil }
        name = entry.name
        span = entry.nameSpan
        for field in ["on", "per", "allow"] { fields.require(field, at: span) }
        let on = fields.strings("on")?.value ?? []
        classes = on.count == 1 && on[0].value == "*" ? nil : on
        for dimension in fields.strings("per")?.value ?? [] {
            if let known = Self.dimensions.first(where: { $0.0 == dimension.value }) {
                per.formUnion(known.1)
            } else {
                let help = diagnostics.suggestion(for: dimension.value, among: Self.dimensions.map(\.0))
                diagnostics.error(
                    .badValue, "\"per\" of \(owner) cannot be \"\(dimension.value)\"", at: dimension.span,
                    help: help.isEmpty
                        ? ["write one or more of \(Self.dimensions.map(\.0).joined(separator: ", "))"] : help)
            }
        }
        rate = fields.rate("allow")?.value ?? Rate(count: 1, periodSeconds: 1)
        burst = fields.integer("burst", in: 1...1_000_000_000)?.value
        mode = fields.limitMode("mode") ?? .enforce
        charge = fields.word("charge", of: [("work", .work), ("calls", .calls)]) ?? .work
        _ = fields.string("description")
    }
}
