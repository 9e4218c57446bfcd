internal import JSON

/// An organization as written, in one file or several.
struct OrganizationDocument {
    let id: String
    let span: SourceSpan
    var plan: Located<String>?
    var tokens: [TokenDocument] = []
    var overrides: [LimitChange] = []
    /// The maximum that the organization has instead of the one in the cap.
    var jobCaps: [(name: Located<String>, max: Int)] = []
    /// The overrides read so far, to find two of one limit that end at the same time.
    private var ends: [OverrideEnd: SourceSpan] = [:]

    /// Reads the entries of one organization; they share its id.
    init(_ entries: some Collection<NamedValue>, id: String, span: SourceSpan, _ diagnostics: DiagnosticCollector) {
        let owner = "organization \"\(id)\""
        self.id = id
        self.span = span
        IdentifierRule.check(id, .segment, "an organization", at: span, diagnostics)
        var tokenSpans: [String: SourceSpan] = [:]
        for entry in entries {
            let fields = ObjectReader(
                entry.value, at: entry.span, of: owner, shape: .organization, diagnostics: diagnostics)
            guard let fields else { continue }
            _ = fields.string("description")
            if let plan = fields.string("plan") {
                if let first = self.plan {
                    diagnostics.duplicate("\"plan\" of \(owner)", plan.span, first: first.span)
                } else {
                    self.plan = plan
                }
            }
            for entry in fields.objects("tokens") {
                if let first = tokenSpans[entry.name] {
                    diagnostics.duplicate("token \"\(id)/\(entry.name)\"", entry.nameSpan, first: first)
                    continue
                }
                tokenSpans[entry.name] = entry.nameSpan
                if let token = TokenDocument(entry, of: id, diagnostics) { tokens.append(token) }
            }
            readOverrides(fields)
            readJobCaps(fields)
        }
        tokens.sort { $0.name < $1.name }
    }

    private mutating func readJobCaps(_ fields: ObjectReader) {
        for entry in fields.objects("jobCaps") {
            let name = Located(value: entry.name, span: entry.nameSpan)
            if let first = jobCaps.first(where: { $0.name.value == entry.name }) {
                fields.diagnostics.duplicate(
                    "\"jobCaps\" of \(fields.owner)", entry.nameSpan, first: first.name.span)
                continue
            }
            guard let max = entry.value.integer, (1...Int64(JobCapDocument.maxJobs)).contains(max) else {
                fields.diagnostics.error(
                    .outOfRange,
                    "job cap \"\(entry.name)\" of \(fields.owner) must be a whole number between 1 and \(JobCapDocument.maxJobs)",
                    at: entry.span)
                continue
            }
            jobCaps.append((name, Int(max)))
        }
    }

    private mutating func readOverrides(_ fields: ObjectReader) {
        guard let value = fields["overrides"] else { return }
        guard let elements = value.array else {
            fields.mismatch("overrides", value, "a list of objects")
            return
        }
        for element in elements {
            let inner = ObjectReader(
                element, at: fields.span(of: element), of: "an override of \(fields.owner)",
                shape: .override, diagnostics: fields.diagnostics)
            guard let inner else { continue }
            for name in ["limit", "until"] {
                inner.require(
                    name, at: inner.span,
                    help: name == "until" ? ["an override must have an end: make a permanent change in a plan"] : [])
            }
            _ = inner.string("reason")
            guard let limit = inner.string("limit") else { continue }
            let change = LimitChange(limit, inner)
            let end = change.until.map { OverrideEnd(limit: limit.value, until: $0.value) }
            if let end, let twin = ends[end] {
                fields.diagnostics.error(
                    .duplicateOverride, "two overrides of \"\(limit.value)\" end at the same time", at: limit.span,
                    help: ["the other one is at \(fields.diagnostics.location(of: twin))"])
                continue
            }
            if let end { ends[end] = limit.span }
            overrides.append(change)
        }
    }
}

/// Two overrides of an organization must not share these.
private struct OverrideEnd: Hashable {
    let limit: String
    let until: Int64
}

extension ObjectReader {
    /// The members of an object field.
    func objects(_ name: String) -> [NamedValue] {
        guard let value = self[name] else { return [] }
        guard let members = value.object else {
            mismatch(name, value, "an object")
            return []
        }
        return members.map {
            NamedValue(name: $0.name, nameSpan: SourceSpan(file: span.file, range: $0.nameRange), value: $0.value)
        }
    }
}
