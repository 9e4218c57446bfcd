package import JSON

/// One finding about the policy files, with everything needed to show it.
package struct Diagnostic: Equatable, Sendable {
    package let severity: Severity
    package let code: DiagnosticCode
    /// One sentence, lower-case first letter, no full stop.
    package let message: String
    /// The name of the file as it was passed in.
    package let file: String
    package let position: SourcePosition
    /// The line at `position`, or the part of it around the caret; `nil` where the file has no text.
    package let excerpt: SourceExcerpt?
    /// How many characters of the line the caret marks.
    package let width: Int
    /// The text beside the caret; may be empty.
    package let label: String
    /// Lines that say what to do, or where else to look.
    package let help: [String]

    /// A policy set with an error is not used; one with warnings is.
    package enum Severity: String, Sendable { case error, warning }

    /// `file:line:column`.
    package var location: String { "\(file):\(position)" }

    /// The finding as text: a clickable first line, the source line with a caret, the help.
    package var rendered: String {
        let number = String(position.line)
        let gutter = String(repeating: " ", count: max(2, number.utf8.count))
        let padding = String(repeating: " ", count: gutter.utf8.count - number.utf8.count)
        var text = "\(location): \(severity.rawValue): \(message) [\(code.rawValue)]\n"
        if let excerpt {
            text += "\(gutter) |\n\(padding)\(number) | \(excerpt.line)\n"
            text += "\(gutter) | \(excerpt.indent)\(String(repeating: "^", count: max(1, width)))"
            text += label.isEmpty ? "\n" : " \(label)\n"
        }
        for line in help { text += "\(gutter) = help: \(line)\n" }
        return text
    }
}

/// The kind of finding. Each code has its entry in `policies/README.md` and its golden file.
package enum DiagnosticCode: String, CaseIterable, Sendable {
    case syntax
    case duplicateName = "duplicate-name"
    case unknownSection = "unknown-section"
    case unknownField = "unknown-field"
    case outdatedField = "outdated-field"
    case missingField = "missing-field"
    case conflictingFields = "conflicting-fields"
    case wrongType = "wrong-type"
    case badValue = "bad-value"
    case badName = "bad-name"
    case emptyList = "empty-list"
    case tooMany = "too-many"
    case outOfRange = "out-of-range"
    case badDuration = "bad-duration"
    case badRate = "bad-rate"
    case badSize = "bad-size"
    case badTime = "bad-time"
    case badAddress = "bad-address"
    case badAddressRange = "bad-address-range"
    case badURL = "bad-url"
    case badHost = "bad-host"
    case badHeader = "bad-header"
    case badHash = "bad-hash"
    case badPattern = "bad-pattern"
    case duplicateRoute = "duplicate-route"
    case duplicateToken = "duplicate-token"
    case duplicateOverride = "duplicate-override"
    case costAboveBurst = "cost-above-burst"
    case missingConnection = "missing-connection"
    case unknownScope = "unknown-scope"
    case unknownClass = "unknown-class"
    case unknownLimit = "unknown-limit"
    case unknownPlan = "unknown-plan"
    case unknownLease = "unknown-lease"
    case unknownRoute = "unknown-route"
    case unknownOrganization = "unknown-organization"
    case noRoutes = "no-routes"
    case shadowedRoute = "shadowed-route"
    case expiredToken = "expired-token"
    case expiredOverride = "expired-override"
    case unusedScope = "unused-scope"
    case tokenOpensNothing = "token-opens-nothing"
    case limitNeverBinds = "limit-never-binds"
    case errorRuleNeverMatches = "error-rule-never-matches"
    case unpolledLeases = "unpolled-leases"
    case anonymousPolls = "anonymous-polls"
    case unusableFile = "unusable-file"
    case misnamedFile = "misnamed-file"
    case noTokens = "no-tokens"
    case organizationWithoutTokens = "organization-without-tokens"
    case noLimits = "no-limits"
    case oneSidedConflict = "one-sided-conflict"
    case burstStays = "burst-stays"
    case unusedCost = "unused-cost"
    case needlessConfirmation = "needless-confirmation"
    case unconfirmedRoute = "unconfirmed-route"
    case forgottenStatus = "forgotten-status"
}
