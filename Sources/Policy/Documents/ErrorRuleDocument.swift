internal import JSON

/// A rule of the section `errors` as written.
struct ErrorRuleDocument {
    let name: String
    let span: SourceSpan
    /// `nil`: every route whose requests reach the upstream.
    private(set) var routes: [Located<String>]?
    private(set) var statuses = Self.errorStatuses
    private(set) var field: [String]?
    private(set) var pattern: String?
    private(set) var replacement = ErrorRule.Replacement(status: nil, code: nil, message: nil, retryAfterSeconds: nil)
    private(set) var showsOriginalError: Bool?
    private let routeNames: Set<String>

    static let errorStatuses = 400...599
    /// The maximum of rules in a policy set.
    static let capacity = 256

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "error rule \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "an error rule", of: owner, shape: .errorRule, diagnostics) else {
            return nil
        }
        name = entry.name
        span = entry.nameSpan
        fields.require("on", at: span, help: ["list the names of routes, or write \"*\" for all routes"])
        let on = fields.strings("on")?.value ?? []
        routes = on.count == 1 && on[0].value == "*" ? nil : on
        routeNames = Set(on.map(\.value))
        if let when = fields.object("when", of: "\"when\" of \(owner)", shape: .errorCondition) {
            readCondition(when)
        }
        if let replacement = fields.object("replaceWith", of: "\"replaceWith\" of \(owner)", shape: .errorReplacement) {
            readReplacement(replacement)
        }
        showsOriginalError = fields.word("upstream", of: [("hide", false), ("show", true)])
        if fields["replaceWith"] == nil, fields["upstream"] == nil {
            diagnostics.error(
                .missingField, "\(owner) changes nothing", at: span, help: ["add \"replaceWith\" or \"upstream\""])
        }
        _ = fields.string("description")
    }

    /// Whether the rule applies to upstream errors of `route`.
    func applies(to route: RouteDocument) -> Bool {
        route.respondStatus == nil && (routes == nil || routeNames.contains(route.id))
    }

    private mutating func readCondition(_ when: ObjectReader) {
        readStatuses(when)
        readField(when)
        guard let text = when.string("matches") else { return }
        pattern = text.value
        if text.value.utf8.count > 1024 {
            when.diagnostics.error(
                .outOfRange, "\"matches\" of \(when.owner) is longer than 1024 bytes", at: text.span)
        }
        if when["field"] == nil {
            when.diagnostics.error(
                .missingField, "\(when.owner) has \"matches\" without \"field\"",
                at: when.nameSpan(of: "matches"),
                help: ["add a field of the body, for example field: \"detail\"; field: \"\" is the whole body as text"])
        }
    }

    private mutating func readStatuses(_ when: ObjectReader) {
        guard let value = when["status"] else { return }
        let help = "write a status such as 400, \"4xx\", \"5xx\", or the first and last status of a range: [500, 504]"
        if let text = value.string {
            switch text {
            case "4xx": statuses = 400...499
            case "5xx": statuses = 500...599
            default:
                when.diagnostics.error(
                    .badValue, "\"status\" of \(when.owner) cannot be \"\(text)\"", at: when.span(of: value),
                    help: [help])
            }
            return
        }
        let bounds = value.array ?? [value]
        let numbers = bounds.compactMap(\.integer)
        guard numbers.count == bounds.count, let first = numbers.first, let last = numbers.last, numbers.count <= 2
        else {
            when.diagnostics.error(
                .wrongType, "\"status\" of \(when.owner) must be a status or a range of two statuses",
                at: when.span(of: value),
                help: [help])
            return
        }
        guard let first = Int(exactly: first), let last = Int(exactly: last), first <= last,
            Self.errorStatuses.contains(first), Self.errorStatuses.contains(last)
        else {
            when.diagnostics.error(
                .outOfRange, "\"status\" of \(when.owner) must be between 400 and 599, the lower status first",
                at: when.span(of: value))
            return
        }
        statuses = first...last
    }

    private mutating func readField(_ when: ObjectReader) {
        guard let texts = when.texts("field") else { return }
        let names: [String]
        if when["field"]?.string != nil, let text = texts.value.first {
            names =
                text.value.isEmpty
                ? [] : text.value.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            if names.contains("") {
                when.diagnostics.error(
                    .badValue, "\"field\" of \(when.owner) has an empty name", at: text.span,
                    help: [
                        "put one dot between two names: \"error.message\"; put a name with a dot into a list: [\"error.message\"]"
                    ])
            }
        } else {
            names = texts.value.map(\.value)
            if names.isEmpty {
                when.diagnostics.error(
                    .emptyList, "\"field\" of \(when.owner) must not be empty", at: texts.span,
                    help: ["list the names of the path to the field; field: \"\" is the whole body as text"])
            }
        }
        if names.count > 16 {
            when.diagnostics.error(.tooMany, "\"field\" of \(when.owner) has more than 16 names", at: texts.span)
        }
        field = names
    }

    private mutating func readReplacement(_ fields: ObjectReader) {
        let diagnostics = fields.diagnostics
        if ["status", "code", "message", "retryAfter"].allSatisfy({ fields[$0] == nil }) {
            diagnostics.error(
                .missingField, "\(fields.owner) replaces nothing", at: fields.span,
                help: ["add \"status\", \"code\", \"message\" or \"retryAfter\""])
        }
        let status = fields.integer("status", in: 400...599)?.value
        let code = fields.string("code")
        if let code { IdentifierRule.check(code.value, .errorCode, "an error", at: code.span, diagnostics) }
        let message = fields.string("message")
        if let message, !(1...1000).contains(message.value.utf8.count) {
            diagnostics.error(
                .outOfRange, "\"message\" of \(fields.owner) must have between 1 and 1000 bytes", at: message.span)
        }
        // `Retry-After` has whole seconds: round up, so that no client retries too early.
        let wait = fields.duration("retryAfter", atLeast: .seconds(1))?.components
        replacement = ErrorRule.Replacement(
            status: status, code: code?.value, message: message?.value,
            retryAfterSeconds: wait.map { Int($0.seconds) + ($0.attoseconds > 0 ? 1 : 0) })
    }
}

extension ErrorRuleDocument {
    /// Whether this rule matches every body that `other` matches, for a status that both list.
    func matchesEveryBody(of other: ErrorRuleDocument) -> Bool {
        guard let field else { return true }
        guard let pattern else { return field.isEmpty || field == other.field }
        let glob = Glob(pattern)
        if field.isEmpty, glob.matches(Array("*".utf8).span) { return true }
        guard field == other.field else { return false }
        // `other`'s pattern is matched as a text: only a star of this pattern can match a star of the other.
        return glob.matches(Array((other.pattern ?? "*").utf8).span)
    }
}
