internal import Bytes
internal import JSON

/// A scope as written.
struct ScopeDocument {
    let name: String
    let place: SourceSpan
}

/// A route as written.
struct RouteDocument {
    let id: String
    let place: SourceSpan
    var patterns: [Located<RoutePattern>] = []
    var family = RouteFamily.aitronos
    var isPublic = false
    var scopes: [Located<String>] = []
    var limitClass: Located<String>?
    var lease: Located<String>?
    var connection = ConnectionSource.none
    var maxBodyBytes: Int?
    var respondStatus: Int?
    var jobStatus: Route.JobStatusBody?
    var timeouts = Route.UpstreamTimeouts()
    var owner: String?

    static let fields = [
        "match", "family", "scope", "public", "class", "connection", "lease", "maxBody", "respond",
        "jobStatus", "timeouts", "owner", "description",
    ]

    init?(_ entry: Entry, _ report: DiagnosticCollector) {
        let owner = "route \"\(entry.name)\""
        IdentifierRule.check(entry.name, .identifier, "a route", at: entry.namePlace, report)
        guard let fields = ObjectReader(entry.value, at: entry.place, of: owner, shape: .route, report: report) else {
            return nil
        }
        id = entry.name
        place = entry.namePlace
        fields.require("match", at: place, help: ["for example match: \"GET /v1/organizations/{organization}/things\""])
        for text in fields.strings("match")?.value ?? [] {
            guard let pattern = RoutePattern.read(text, of: owner, report) else { continue }
            patterns.append(Located(value: pattern, place: text.place))
        }
        family = fields.word("family", of: RouteFamily.allCases.map { ($0.rawValue, $0) }) ?? .aitronos
        isPublic = fields.bool("public")?.value ?? false
        scopes = fields.strings("scope")?.value ?? []
        limitClass = fields.string("class")
        lease = fields.string("lease")
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
        checkCaptures(fields)
        readConnection(fields)
    }

    private func checkAccess(_ fields: ObjectReader) {
        if isPublic {
            for name in ["scope", "class", "lease", "connection"] where fields[name] != nil {
                fields.report.error(
                    .conflictingFields, "a public route cannot have \"\(name)\"", at: fields.namePlace(of: name),
                    help: ["nobody is known on a public route: remove \"\(name)\" or \"public\""])
            }
        } else {
            fields.require("scope", at: place, help: ["name the scope a token needs, or write public: true"])
            if fields["respond"] != nil {
                fields.report.error(
                    .conflictingFields, "only a public route can have \"respond\"", at: fields.namePlace(of: "respond"))
            }
        }
    }

    private func checkUpstreamFields(_ fields: ObjectReader) {
        for name in ["jobStatus", "timeouts"] where fields[name] != nil && respondStatus != nil {
            fields.report.error(
                .conflictingFields, "\(fields.owner) has \"respond\" and cannot have \"\(name)\"",
                at: fields.namePlace(of: name),
                help: ["the gateway responds without the upstream: remove \"\(name)\" or \"respond\""])
        }
        if jobStatus != nil, respondStatus == nil, !patterns.isEmpty,
            !patterns.contains(where: { $0.value.methods.contains(.get) })
        {
            fields.report.error(
                .conflictingFields, "\(fields.owner) does not match GET and cannot have \"jobStatus\"",
                at: fields.namePlace(of: "jobStatus"),
                help: ["the gateway reads the status of jobs in responses to GET only"])
        }
    }

    /// Every pattern of a route must give the same facts.
    private func checkCaptures(_ fields: ObjectReader) {
        guard let first = patterns.first else { return }
        for other in patterns.dropFirst() where other.value.captures != first.value.captures {
            fields.report.error(
                .badPattern, "the patterns of \(fields.owner) do not have the same variables", at: other.place,
                help: ["the first one has \(first.value.captureText)"])
        }
    }

    private mutating func readConnection(_ fields: ObjectReader) {
        let captures = patterns.first?.value.captures ?? []
        if captures.contains(.connection) { connection = .path }
        let help = "it is \"path\", \"job\", \"none\" or { body: [\"name\", ...] }"
        if let value = fields["connection"] {
            if let text = value.string {
                switch text {
                case "none": connection = .none
                case "path" where captures.contains(.connection): connection = .path
                case "job" where captures.contains(.job): connection = .job
                case "path", "job":
                    let variable = text == "path" ? "{connection}" : "{job}"
                    fields.report.error(
                        .missingConnection, "the path of \(fields.owner) has no \(variable)",
                        at: fields.place(of: value))
                default:
                    fields.report.error(
                        .badValue, "\"connection\" of \(fields.owner) cannot be \"\(text)\"",
                        at: fields.place(of: value), help: [help])
                }
            } else if value.object != nil {
                let inner = ObjectReader(
                    value, at: fields.place(of: value), of: "\"connection\" of \(fields.owner)",
                    shape: .routeConnection,
                    report: fields.report)
                inner?.require("body", at: fields.place(of: value))
                connection = .body(inner?.strings("body")?.value.map(\.value) ?? [])
            } else {
                fields.mismatch("connection", value, "a string or an object")
            }
        }
        if let lease, connection == .none, !patterns.isEmpty {
            fields.report.error(
                .missingConnection, "\(fields.owner) takes a lease, but nothing says on which connection",
                at: lease.place,
                help: ["\"connection\" says where it is named: \(help)"])
        }
    }
}

/// What names may be made of.
enum IdentifierRule {
    /// Operations, classes, limits, plans, tokens, kinds of leases: they stand in logs and headers.
    case identifier
    /// Organizations: they stand in paths.
    case segment
    /// Scopes (RFC 6749, section 3.3, without what needs escaping anywhere).
    case scope
    /// Codes of errors, as the API has them.
    case errorCode

    static func check(
        _ name: String, _ kind: IdentifierRule, _ what: String, at place: SourceSpan, _ report: DiagnosticCollector
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
        report.error(
            .badName, "\"\(name)\" cannot be the name of \(what)", at: place, help: ["1 to 128 characters: \(help)"])
    }
}

extension RoutePattern {
    /// The variables of the path that mean something.
    var captures: Set<Capture> {
        var found: Set<Capture> = []
        for case .capture(let capture) in segments where capture != .any { found.insert(capture) }
        return found
    }

    fileprivate var captureText: String {
        let names = captures.map { "{\($0.rawValue)}" }.sorted()
        return names.isEmpty ? "none" : names.joined(separator: ", ")
    }

    /// Reads `METHOD /path`.
    static func read(_ text: Located<String>, of owner: String, _ report: DiagnosticCollector) -> RoutePattern? {
        func refuse(_ message: String, _ help: [String] = []) -> RoutePattern? {
            report.error(.badPattern, "\"match\" of \(owner): \(message)", at: text.place, help: help)
            return nil
        }
        let parts = text.value.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[1].hasPrefix("/") else {
            return refuse(
                "\"\(text.value)\" is not a method and a path", ["for example \"GET /v1/things/{connection}\""])
        }
        var methods: RouteMethods = []
        for name in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
            let known = RouteMethods.named.filter { $0.method != .options }
            if name == "*" {
                methods.formUnion(.any)
            } else if let method = known.first(where: { $0.name == name }) {
                methods.formUnion(method.method)
            } else {
                let help = report.suggestion(for: String(name), among: known.map(\.name))
                return refuse(
                    "there is no method \"\(name)\"",
                    help.isEmpty
                        ? ["it is \(known.map(\.name).joined(separator: ", ")), or \"*\" for all of them"] : help)
            }
        }
        var segments: [Segment] = []
        let path = parts[1].dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if path == [""] { return RoutePattern(methods: methods, segments: []) }
        guard path.count <= maxSegments else { return refuse("a path has at most \(maxSegments) segments") }
        for (index, part) in path.enumerated() {
            if part.isEmpty {
                return refuse(
                    index == path.count - 1 ? "the path ends with a slash" : "the path has an empty segment",
                    ["a request may have one slash at the end whatever the pattern says; leave it out"])
            }
            if part == "**" {
                guard index == path.count - 1 else { return refuse("\"**\" can only be at the end") }
                segments.append(.rest)
            } else if part == "*" {
                segments.append(.capture(.any))
            } else if part.hasPrefix("{"), part.hasSuffix("}") {
                let name = String(part.dropFirst().dropLast())
                guard let capture = Capture(rawValue: name), capture != .any else {
                    return refuse(
                        "there is no variable \"{\(name)}\"", [PathHints.help(for: PathHints.variable(part) ?? part)])
                }
                guard !segments.contains(.capture(capture)) else { return refuse("\"{\(name)}\" appears twice") }
                segments.append(.capture(capture))
            } else if let variable = PathHints.variable(part) {
                return refuse("\"\(part)\" is not how a variable is written", [PathHints.help(for: variable)])
            } else {
                guard part.utf8.allSatisfy({ $0.isUnreserved || $0 == UInt8(ascii: ":") }), part != ".", part != ".."
                else {
                    return refuse(
                        "\"\(part)\" is not a plain segment",
                        ["a segment is letters, digits, \"-\", \".\", \"_\", \"~\" and \":\", or one variable"])
                }
                segments.append(.literal(Array(part.utf8)))
            }
        }
        return RoutePattern(methods: methods, segments: segments)
    }
}
