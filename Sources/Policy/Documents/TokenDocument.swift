/// A token as written.
struct TokenDocument {
    let name: String
    let span: SourceSpan
    var digest: Located<TokenDigest>?
    var scopes: [Located<String>] = []
    var expires: Located<Int64>?
    /// The caller that the token belongs to; left out, the token is its only one.
    var subject: Located<String>?
    /// The organizations besides the one that it is listed under.
    var organizations: [Located<String>] = []

    init?(_ entry: NamedValue, of organization: String, _ diagnostics: DiagnosticCollector) {
        let owner = "token \"\(organization)/\(entry.name)\""
        guard let fields = ObjectReader(entry, "a token", of: owner, shape: .token, diagnostics) else { return nil }
        name = entry.name
        span = entry.nameSpan
        fields.require("sha256", at: span, help: [Units.hashHelp])
        fields.require("scopes", at: span)
        digest = fields.parsed("sha256", .badHash, "a SHA-256", help: Units.hashHelp, Units.digest)
        scopes = fields.strings("scopes")?.value ?? []
        expires = fields.time("expires")
        organizations = fields.strings("organizations")?.value ?? []
        subject = fields.string("subject")
        _ = fields.string("description")
    }
}
