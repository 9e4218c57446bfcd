internal import Bytes

/// The characters that names may have.
enum IdentifierRule {
    /// Operations, classes, limits, plans, tokens, kinds of leases: they appear in logs and headers.
    case identifier
    /// Organizations: they appear in paths.
    case segment
    /// Scopes (RFC 6749, section 3.3, without characters that need escaping anywhere).
    case scope
    /// Error codes, in the form that the API's codes have.
    case errorCode

    static func check(
        _ name: String, _ kind: IdentifierRule, _ what: String, at span: SourceSpan, _ diagnostics: DiagnosticCollector
    ) {
        let allowed: (UInt8) -> Bool
        let help: String
        switch kind {
        case .identifier:
            allowed = { $0.isUnreserved && $0 != UInt8(ascii: "~") }
            help = "letters, digits, \"-\", \".\" and \"_\""
        case .segment:
            allowed = { $0.isUnreserved }
            help = "letters, digits, \"-\", \".\", \"_\" and \"~\""
        case .scope:
            allowed = { $0.isUnreserved || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/") }
            help = "letters, digits, \"-\", \".\", \"_\", \"~\", \":\" and \"/\""
        case .errorCode:
            allowed = { $0.isUppercaseLetter || $0.isDigit || $0 == .underscore }
            help = "capital letters, digits and \"_\""
        }
        if (1...128).contains(name.utf8.count), name.utf8.allSatisfy(allowed), name != ".", name != ".." { return }
        diagnostics.error(
            .badName, "\"\(name)\" cannot be the name of \(what)", at: span,
            help: ["a name has 1 to 128 characters: \(help)"])
    }
}
