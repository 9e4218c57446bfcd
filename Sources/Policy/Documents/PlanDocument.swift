internal import JSON

/// A plan as written: changes to limits that many organizations share.
struct PlanDocument {
    let name: String
    let span: SourceSpan
    var changes: [LimitChange] = []

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "plan \"\(entry.name)\""
        IdentifierRule.check(entry.name, .identifier, "a plan", at: entry.nameSpan, diagnostics)
        name = entry.name
        span = entry.nameSpan
        guard let members = entry.value.object else {
            diagnostics.error(.wrongType, "\(owner) must be an object, not \(entry.value.kindName)", at: entry.span)
            return nil
        }
        for member in members {
            let fields = ObjectReader(
                member.value, at: SourceSpan(file: span.file, range: member.value.range),
                of: "\"\(member.name)\" of \(owner)",
                shape: .planChange, diagnostics: diagnostics)
            let limit = Located(value: member.name, span: SourceSpan(file: span.file, range: member.nameRange))
            if let fields { changes.append(LimitChange(limit, fields)) }
        }
    }
}
