/// A change of one limit by a plan or an override.
struct LimitChange {
    let limit: Located<String>
    var rate: Rate?
    private(set) var rateSpan: SourceSpan?
    var burst: Int?
    var mode: LimitMode?
    /// `nil`: without end.
    var until: Located<Int64>?

    /// Reads the fields that a plan and an override share.
    init(_ limit: Located<String>, _ fields: ObjectReader) {
        self.limit = limit
        let rate = fields.rate("allow")
        self.rate = rate?.value
        rateSpan = rate?.span
        burst = fields.integer("burst", in: 1...1_000_000_000)?.value
        mode = fields.limitMode("mode")
        until = fields.time("until")
        if ["allow", "burst", "mode"].allSatisfy({ fields[$0] == nil }) {
            fields.diagnostics.error(
                .missingField, "\(fields.owner) changes nothing", at: fields.span,
                help: ["add \"allow\", \"burst\" or \"mode\""])
        }
    }
}

extension LimitChange {
    /// The end of the change, in seconds since the epoch.
    var end: Int64 { until?.value ?? .max }

    /// The changes in the order in which they are applied.
    static func latestFirst(_ changes: [LimitChange]) -> [LimitChange] { changes.sorted { $0.end > $1.end } }
}
