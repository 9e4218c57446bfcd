/// A scope as written.
struct ScopeDocument {
    let name: String
    let span: SourceSpan
}

extension ScopeDocument {
    /// Reads the declaration of a scope.
    init(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        IdentifierRule.check(entry.name, .scope, "a scope", at: entry.nameSpan, diagnostics)
        let fields = ObjectReader(
            entry.value, at: entry.span, of: "scope \"\(entry.name)\"", shape: .scope, diagnostics: diagnostics)
        _ = fields?.string("description")
        self.init(name: entry.name, span: entry.nameSpan)
    }
}
