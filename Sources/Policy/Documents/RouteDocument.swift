internal import Bytes
internal import JSON

/// A route as written.
struct RouteDocument {
    let id: String
    let span: SourceSpan
    var patterns: [Located<RoutePattern>] = []
    var family = RouteFamily.aitronos
    var isPublic = false
    var scopes: [Located<String>] = []
    var limitClass: Located<String>?
    /// What a request takes from its limits; `nil`: one unit from each.
    var cost: CostDocument?
    var lease: Located<String>?
    /// See ``Route/resendWindow``; zero: never.
    var resendWindow = RouteDocument.defaultResendWindow
    var onConflict = ConflictRule()
    /// Where `onConflict` has its value; `nil` if it is left out.
    var onConflictSpan: SourceSpan?
    /// `nil` if not written.
    var idempotency: Route.Idempotency?
    var connection = ConnectionSource.none
    var confirmation: Located<Confirmation>?
    var maxBodyBytes: Int?
    var respondStatus: Int?
    var jobStatus: Route.JobStatusBody?
    var timeouts = Route.UpstreamTimeouts()
    var owner: String?

    private static let defaultResendWindow = Duration.seconds(600)
    private static let defaultMaxWait = Duration.seconds(30)
    /// A client, and each proxy in between, gives up long before.
    private static let maxMaxWait = Duration.seconds(600)
    /// The fields that only a route with a lease can have.
    private static let leaseFields = ["resendWindow", "onConflict", "maxWait"]

    init?(_ entry: NamedValue, _ diagnostics: DiagnosticCollector) {
        let owner = "route \"\(entry.name)\""
        guard let fields = ObjectReader(entry, "a route", of: owner, shape: .route, diagnostics) else { return nil }
        id = entry.name
        span = entry.nameSpan
        fields.require("match", at: span, help: ["for example match: \"GET /v1/organizations/{organization}/things\""])
        for text in fields.strings("match")?.value ?? [] {
            guard let pattern = RoutePattern.read(text, of: owner, diagnostics) else { continue }
            patterns.append(Located(value: pattern, span: text.span))
        }
        family = fields.word("family", of: RouteFamily.allCases.map { ($0.rawValue, $0) }) ?? .aitronos
        isPublic = fields.bool("public")?.value ?? false
        scopes = fields.strings("scope")?.value ?? []
        limitClass = fields.string("class")
        cost = CostDocument(fields)
        lease = fields.string("lease")
        resendWindow = fields.duration("resendWindow", atLeast: .zero) ?? Self.defaultResendWindow
        readOnConflict(fields)
        idempotency = fields.word("idempotency", of: Route.Idempotency.allCases.map { ($0.rawValue, $0) })
        maxBodyBytes = fields.size("maxBody", in: 0...(1 << 30))
        respondStatus = fields.integer("respond", in: 200...204)?.value
        jobStatus = fields.word("jobStatus", of: Route.JobStatusBody.allCases.map { ($0.rawValue, $0) })
        if let fields = fields.object(
            "timeouts", of: "\"timeouts\" of \(owner)", shape: .routeTimeouts)
        {
            timeouts.connect = fields.duration("connect")
            timeouts.responseHead = fields.duration("responseHead")
            timeouts.bodyProgress = fields.duration("bodyProgress")
            timeouts.total = fields.duration("total")
        }
        self.owner = fields.string("owner")?.value
        _ = fields.string("description")
        checkAccess(fields)
        checkUpstreamFields(fields)
        for name in Self.leaseFields where lease == nil && !isPublic && fields[name] != nil {
            diagnostics.error(
                .conflictingFields, "\(owner) takes no lease and cannot have \"\(name)\"",
                at: fields.nameSpan(of: name),
                help: ["nothing can be in the way of a request without a lease: set \"lease\", or remove \"\(name)\""])
        }
        checkCaptures(fields)
        readConnection(fields)
        confirmation = Confirmation(fields).map { Located(value: $0, span: fields.nameSpan(of: "confirm")) }
        if let confirmation, !isPublic, connection == .none, !patterns.isEmpty {
            diagnostics.error(
                .missingConnection, "\(owner) has \"confirm\", but does not say where its connection is",
                at: confirmation.span,
                help: ["a caller confirms what happens to one connection: set \"connection\""])
        }
    }

    private func checkAccess(_ fields: ObjectReader) {
        if isPublic {
            for name in ["scope", "class", "cost", "lease", "idempotency", "connection", "confirm"] + Self.leaseFields
            where fields[name] != nil {
                fields.diagnostics.error(
                    .conflictingFields, "a public route cannot have \"\(name)\"", at: fields.nameSpan(of: name),
                    help: ["a public route has no caller: remove \"\(name)\" or \"public\""])
            }
        } else {
            fields.require("scope", at: span, help: ["name the scope that a token needs, or write public: true"])
            if fields["respond"] != nil {
                fields.diagnostics.error(
                    .conflictingFields, "only a public route can have \"respond\"", at: fields.nameSpan(of: "respond"),
                    help: ["write public: true, or remove \"respond\""])
            }
        }
    }

    private mutating func readOnConflict(_ fields: ObjectReader) {
        let responses = ConflictRule.Response.allCases.map { ($0.rawValue, $0) }
        onConflict.response = fields.word("onConflict", of: responses) ?? .fail
        if let value = fields["onConflict"] { onConflictSpan = fields.span(of: value) }
        onConflict.maxWait = fields.duration("maxWait", atLeast: .seconds(1), atMost: Self.maxMaxWait)
        if onConflict.response == .wait, onConflict.maxWait == nil { onConflict.maxWait = Self.defaultMaxWait }
    }

    private func checkUpstreamFields(_ fields: ObjectReader) {
        for name in ["jobStatus", "timeouts"] where fields[name] != nil && respondStatus != nil {
            fields.diagnostics.error(
                .conflictingFields, "\(fields.owner) has \"respond\" and cannot have \"\(name)\"",
                at: fields.nameSpan(of: name),
                help: ["the gateway responds without the upstream: remove \"\(name)\" or \"respond\""])
        }
        if jobStatus != nil, respondStatus == nil, !patterns.isEmpty,
            !patterns.contains(where: { $0.value.methods.contains(.get) })
        {
            fields.diagnostics.error(
                .conflictingFields, "\(fields.owner) does not match GET and cannot have \"jobStatus\"",
                at: fields.nameSpan(of: "jobStatus"),
                help: ["the gateway reads the status of jobs only in responses to GET"])
        }
    }

    /// All patterns of a route must have the same variables.
    private func checkCaptures(_ fields: ObjectReader) {
        guard let first = patterns.first else { return }
        for other in patterns.dropFirst() where other.value.captures != first.value.captures {
            fields.diagnostics.error(
                .badPattern, "the patterns of \(fields.owner) do not have the same variables", at: other.span,
                help: ["the variables of the first pattern: \(first.value.captureText)"])
        }
    }

    private mutating func readConnection(_ fields: ObjectReader) {
        let captures = patterns.first?.value.captures ?? []
        if captures.contains(.connection) { connection = .path }
        let help = "\"path\", \"job\", \"none\" or { body: [\"name\", ...] }"
        if let value = fields["connection"] {
            if let text = value.string {
                switch text {
                case "none": connection = .none
                case "path" where captures.contains(.connection): connection = .path
                case "job" where captures.contains(.job): connection = .job
                case "path", "job":
                    let variable = text == "path" ? "{connection}" : "{job}"
                    fields.diagnostics.error(
                        .missingConnection, "the path of \(fields.owner) has no \(variable)",
                        at: fields.span(of: value), help: ["add \(variable) to the path, or change \"connection\""])
                default:
                    fields.diagnostics.error(
                        .badValue, "\"connection\" of \(fields.owner) cannot be \"\(text)\"",
                        at: fields.span(of: value), help: ["write \(help)"])
                }
            } else if value.object != nil {
                let inner = ObjectReader(
                    value, at: fields.span(of: value), of: "\"connection\" of \(fields.owner)",
                    shape: .routeConnection,
                    diagnostics: fields.diagnostics)
                inner?.require("body", at: fields.span(of: value))
                connection = .body(inner?.strings("body")?.value.map(\.value) ?? [])
            } else {
                fields.mismatch("connection", value, "a string or an object")
            }
        }
        if let lease, connection == .none, !patterns.isEmpty {
            fields.diagnostics.error(
                .missingConnection, "\(fields.owner) takes a lease, but does not say where its connection is",
                at: lease.span,
                help: ["set \"connection\" to \(help)"])
        }
    }
}
