internal import JSON

/// A rate limit as written.
struct LimitDocument {
    let name: String
    let place: SourceSpan
    /// `nil`: every route that asks who calls.
    var classes: [Located<String>]?
    var per: LimitDimensions = []
    var rate: Rate
    /// `nil`: as many as the rate counts.
    var burst: Int?
    var mode = LimitRule.Mode.enforce
    var charge = LimitRule.Charge.work

    static let fields = ["on", "per", "allow", "burst", "mode", "charge", "description"]

    static let subjects: [(String, LimitDimensions)] = [
        ("organization", .organization), ("connection", .connection), ("token", .token), ("operation", .operation),
    ]

    init?(_ entry: Entry, _ report: DiagnosticCollector) {
        let owner = "limit \"\(entry.name)\""
        IdentifierRule.check(entry.name, .identifier, "a limit", at: entry.namePlace, report)
        guard let fields = ObjectReader(entry.value, at: entry.place, of: owner, shape: .limit, report: report) else {
            return nil
        }
        name = entry.name
        place = entry.namePlace
        for field in ["on", "per", "allow"] { fields.require(field, at: place) }
        let on = fields.strings("on")?.value ?? []
        classes = on.count == 1 && on[0].value == "*" ? nil : on
        for subject in fields.strings("per")?.value ?? [] {
            if let known = Self.subjects.first(where: { $0.0 == subject.value }) {
                per.formUnion(known.1)
            } else {
                let help = report.suggestion(for: subject.value, among: Self.subjects.map(\.0))
                report.error(
                    .badValue, "\"per\" of \(owner) cannot be \"\(subject.value)\"", at: subject.place,
                    help: help.isEmpty ? ["it is made of \(Self.subjects.map(\.0).joined(separator: ", "))"] : help)
            }
        }
        rate = fields.rate("allow")?.value ?? Rate(count: 1, periodSeconds: 1)
        burst = fields.integer("burst", in: 1...1_000_000_000)?.value
        mode = fields.word("mode", of: [("enforce", .enforce), ("observe", .observe)]) ?? .enforce
        charge = fields.word("charge", of: [("work", .work), ("calls", .calls)]) ?? .work
        _ = fields.string("description")
    }
}

/// What a plan or an override does to one limit.
struct LimitChange {
    let limit: Located<String>
    var rate: Rate?
    private(set) var ratePlace: SourceSpan?
    var burst: Int?
    var mode: LimitRule.Mode?
    /// `nil`: for good.
    var until: Located<Int64>?

    /// Reads the fields that a plan and an override share.
    init(_ limit: Located<String>, _ fields: ObjectReader) {
        self.limit = limit
        let rate = fields.rate("allow")
        self.rate = rate?.value
        ratePlace = rate?.place
        burst = fields.integer("burst", in: 1...1_000_000_000)?.value
        mode = fields.word("mode", of: [("enforce", .enforce), ("observe", .observe)])
        until = fields.time("until")
        if ["allow", "burst", "mode"].allSatisfy({ fields[$0] == nil }) {
            fields.report.error(
                .missingField, "\(fields.owner) changes nothing", at: fields.place,
                help: ["give \"allow\", \"burst\" or \"mode\""])
        }
    }
}

extension LimitChange {
    /// When it is over, in seconds since the epoch.
    var end: Int64 { until?.value ?? .max }

    /// In the order in which they are applied.
    static func latestFirst(_ changes: [LimitChange]) -> [LimitChange] { changes.sorted { $0.end > $1.end } }
}

/// A limit with some changes applied.
struct LimitInForce: Equatable {
    private(set) var rate: Rate
    private(set) var burst: Int?
    private(set) var mode: LimitRule.Mode

    init(_ limit: LimitDocument) {
        rate = limit.rate
        burst = limit.burst
        mode = limit.mode
    }

    mutating func apply(_ change: LimitChange) {
        rate = change.rate ?? rate
        burst = change.burst ?? burst
        mode = change.mode ?? mode
    }
}

/// A plan as written: changes to limits that many organizations share.
struct PlanDocument {
    let name: String
    let place: SourceSpan
    var changes: [LimitChange] = []

    init?(_ entry: Entry, _ report: DiagnosticCollector) {
        let owner = "plan \"\(entry.name)\""
        IdentifierRule.check(entry.name, .identifier, "a plan", at: entry.namePlace, report)
        name = entry.name
        place = entry.namePlace
        guard let members = entry.value.object else {
            report.error(.wrongType, "\(owner) must be an object, not \(entry.value.kindName)", at: entry.place)
            return nil
        }
        for member in members {
            let fields = ObjectReader(
                member.value, at: SourceSpan(file: place.file, range: member.value.range),
                of: "\"\(member.name)\" of \(owner)",
                shape: .planChange, report: report)
            let limit = Located(value: member.name, place: SourceSpan(file: place.file, range: member.nameRange))
            if let fields { changes.append(LimitChange(limit, fields)) }
        }
    }
}

/// A kind of lease as written.
struct LeaseDocument {
    let name: String
    let place: SourceSpan
    var conflicts: [Located<String>] = []
    var lifetime = LeaseKind.Lifetime.job

    init?(_ entry: Entry, _ report: DiagnosticCollector) {
        IdentifierRule.check(entry.name, .identifier, "a kind of lease", at: entry.namePlace, report)
        let fields = ObjectReader(
            entry.value, at: entry.place, of: "lease \"\(entry.name)\"",
            shape: .lease, report: report)
        guard let fields else { return nil }
        name = entry.name
        place = entry.namePlace
        fields.require("conflicts", at: place)
        conflicts = fields.strings("conflicts")?.value ?? []
        lifetime = fields.word("lifetime", of: [("job", .job), ("request", .request)]) ?? .job
        _ = fields.string("description")
    }
}

extension ScopeDocument {
    /// Reads the declaration of a scope.
    init(_ entry: Entry, _ report: DiagnosticCollector) {
        IdentifierRule.check(entry.name, .scope, "a scope", at: entry.namePlace, report)
        let fields = ObjectReader(
            entry.value, at: entry.place, of: "scope \"\(entry.name)\"", shape: .scope, report: report)
        _ = fields?.string("description")
        self.init(name: entry.name, place: entry.namePlace)
    }
}
