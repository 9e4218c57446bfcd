/// A scope as written.
struct ScopeDocument {
    let name: String
    let span: SourceSpan
}

extension ScopeDocument {
    /// Reads the declaration of a scope.
    init(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "scope \"\(entry.name)\""
        let fields = ObjectReader(entry, "a scope", named: .scope, of: owner, shape: .scope, diagnostics)
        _ = fields?.string("description")
        self.init(name: entry.name, span: entry.nameSpan)
    }
}
