/// Why a field's text is invalid. The parser of the notation throws it; `ObjectReader` adds the position.
struct UnitError: Error, Equatable {
    let code: DiagnosticCode
    /// Follows the name of the field and a colon.
    let message: String
    let help: [String]
    /// Whether the text may hold a secret, so that no source line may show it.
    let isSecret: Bool

    init(_ code: DiagnosticCode, _ message: String, _ help: String..., isSecret: Bool = false) {
        self.code = code
        self.message = message
        self.help = help
        self.isSecret = isSecret
    }
}
