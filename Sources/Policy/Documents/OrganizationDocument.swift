internal import JSON

/// An organization as written, in however many files.
struct OrganizationDocument {
    let id: String
    let place: SourceSpan
    var plan: Located<String>?
    var tokens: [TokenDocument] = []
    var overrides: [LimitChange] = []
    /// Where an override of a limit has its end already.
    private var ends: [OverrideEnd: SourceSpan] = [:]

    static let fields = ["plan", "tokens", "overrides", "description"]

    /// Reads the entries of one organization; they share its id.
    init(_ entries: some Collection<Entry>, id: String, place: SourceSpan, _ report: DiagnosticCollector) {
        let owner = "organization \"\(id)\""
        self.id = id
        self.place = place
        IdentifierRule.check(id, .segment, "an organization", at: place, report)
        var tokenPlaces: [String: SourceSpan] = [:]
        for entry in entries {
            let fields = ObjectReader(entry.value, at: entry.place, of: owner, shape: .organization, report: report)
            guard let fields else { continue }
            _ = fields.string("description")
            if let plan = fields.string("plan") {
                if let first = self.plan {
                    report.duplicate("\"plan\" of \(owner)", plan.place, first: first.place)
                } else {
                    self.plan = plan
                }
            }
            for entry in fields.objects("tokens") {
                if let first = tokenPlaces[entry.name] {
                    report.duplicate("token \"\(id)/\(entry.name)\"", entry.namePlace, first: first)
                    continue
                }
                tokenPlaces[entry.name] = entry.namePlace
                if let token = TokenDocument(entry, of: id, report) { tokens.append(token) }
            }
            readOverrides(fields)
        }
        tokens.sort { $0.name < $1.name }
    }

    private mutating func readOverrides(_ fields: ObjectReader) {
        guard let value = fields["overrides"] else { return }
        guard let elements = value.array else {
            fields.mismatch("overrides", value, "a list of objects")
            return
        }
        for element in elements {
            let inner = ObjectReader(
                element, at: fields.place(of: element), of: "an override of \(fields.owner)",
                shape: .override, report: fields.report)
            guard let inner else { continue }
            for name in ["limit", "until"] {
                inner.require(
                    name, at: inner.place,
                    help: name == "until" ? ["an override ends by itself; what is for good belongs into a plan"] : [])
            }
            _ = inner.string("reason")
            guard let limit = inner.string("limit") else { continue }
            let change = LimitChange(limit, inner)
            let end = change.until.map { OverrideEnd(limit: limit.value, until: $0.value) }
            if let end, let twin = ends[end] {
                fields.report.error(
                    .duplicateOverride, "two overrides of \"\(limit.value)\" end at the same time", at: limit.place,
                    help: ["the other one is at \(fields.report.location(of: twin))"])
                continue
            }
            if let end { ends[end] = limit.place }
            overrides.append(change)
        }
    }
}

/// What no two overrides of an organization may share.
private struct OverrideEnd: Hashable {
    let limit: String
    let until: Int64
}

/// A token as written.
struct TokenDocument {
    let name: String
    let place: SourceSpan
    var digest: Located<TokenDigest>?
    var scopes: [Located<String>] = []
    var expires: Located<Int64>?
    /// More organizations than the one it is listed under.
    var organizations: [Located<String>] = []

    static let fields = ["sha256", "scopes", "expires", "organizations", "description"]

    init?(_ entry: Entry, of organization: String, _ report: DiagnosticCollector) {
        let owner = "token \"\(organization)/\(entry.name)\""
        IdentifierRule.check(entry.name, .identifier, "a token", at: entry.namePlace, report)
        guard let fields = ObjectReader(entry.value, at: entry.place, of: owner, shape: .token, report: report) else {
            return nil
        }
        name = entry.name
        place = entry.namePlace
        fields.require("sha256", at: place, help: [Units.hashHelp])
        fields.require("scopes", at: place)
        digest = fields.parsed("sha256", .badHash, "a SHA-256", help: Units.hashHelp, Units.digest)
        scopes = fields.strings("scopes")?.value ?? []
        expires = fields.time("expires")
        organizations = fields.strings("organizations")?.value ?? []
        _ = fields.string("description")
    }
}

extension ObjectReader {
    /// The members of an object field.
    func objects(_ name: String) -> [Entry] {
        guard let value = self[name] else { return [] }
        guard let members = value.object else {
            mismatch(name, value, "an object")
            return []
        }
        return members.map {
            Entry(name: $0.name, namePlace: SourceSpan(file: place.file, range: $0.nameRange), value: $0.value)
        }
    }
}
