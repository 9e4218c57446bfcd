internal import JSON

/// The objects of a policy file, with the fields that each may have.
///
/// The raw value is the path from the top of a file; `*` is a name that the author chooses, or an element of a list.
enum Shape: String, CaseIterable {
    case file = ""
    case gateway
    case tls = "gateway.tls"
    case certificate = "gateway.tls.certificates.*"
    case timeouts = "gateway.timeouts"
    case sizes = "gateway.sizes"
    case connections = "gateway.connections"
    case log = "gateway.log"
    case idempotency = "gateway.idempotency"
    case failedAuthentications = "gateway.failedAuthentications"
    case upstream = "gateway.upstream"
    case credential = "gateway.upstream.credential"
    case ownCredential = "gateway.upstream.ownCredential"
    case upstreamTLS = "gateway.upstream.tls"
    case upstreamTimeouts = "gateway.upstream.timeouts"
    case upstreamConnections = "gateway.upstream.connections"
    case health = "gateway.upstream.health"
    case breaker = "gateway.upstream.breaker"
    case retryBudget = "gateway.upstream.retryBudget"
    case scope = "scopes.*"
    case route = "routes.*"
    case routeTimeouts = "routes.*.timeouts"
    case routeConnection = "routes.*.connection"
    case routeConfirmation = "routes.*.confirm"
    case limit = "limits.*"
    case limitMode = "limits.*.mode"
    case planChange = "plans.*.*"
    case organization = "organizations.*"
    case token = "organizations.*.tokens.*"
    case override = "organizations.*.overrides.*"
    case lease = "concurrency.*"
    case jobStatuses = "jobStatuses.*"
    case jobCap = "jobCaps.*"
    case errorRule = "errors.*"
    case errorCondition = "errors.*.when"
    case errorReplacement = "errors.*.replaceWith"

    /// The fields of the object, in the order of the documentation.
    var fields: [String] {
        switch self {
        case .file: PolicyFiles.sections
        case .gateway:
            [
                "listen", "admin", "workers", "tls", "timeouts", "sizes", "connections", "log", "idempotency",
                "failedAuthentications", "upstream", "trustedProxies", "adminNames",
            ]
        case .tls: ["certificates", "minimumVersion", "ticketLifetime"]
        case .certificate: ["certificate", "key"]
        case .timeouts: ["handshake", "head", "bodyProgress", "body", "idle", "write", "drainDelay", "drain"]
        case .sizes: ["head", "target", "headers", "body", "inspectedBody", "bodyMemory"]
        case .connections: ["open", "requests", "age"]
        case .log: ["access", "errorsPerOrganization"]
        case .idempotency: ["keep", "memory"]
        case .failedAuthentications: ["allow", "burst"]
        case .upstream:
            [
                "url", "host", "credential", "ownCredential", "tls", "timeouts", "connections", "dnsRefresh", "health",
                "breaker",
                "retryBudget", "errors", "description",
            ]
        case .credential, .ownCredential: ["header", "secretFile"]
        case .upstreamTLS: ["authorities", "serverName", "certificate", "key"]
        case .upstreamTimeouts: ["connect", "responseHead", "bodyProgress", "total", "idle", "queue"]
        case .upstreamConnections: ["inFlight", "queue", "idle"]
        case .health: ["path", "interval", "timeout", "healthy", "unhealthy"]
        case .breaker: ["consecutiveFailures", "openFor"]
        case .retryBudget: ["percent", "minPerSecond"]
        case .scope: ["description"]
        case .route:
            [
                "match", "family", "scope", "public", "class", "cost", "connection", "lease", "resendWindow",
                "onConflict", "maxWait", "idempotency", "confirm", "maxBody", "respond",
                "jobStatus", "timeouts", "owner", "description",
            ]
        case .routeTimeouts: ["connect", "responseHead", "bodyProgress", "total"]
        case .routeConnection: ["body"]
        case .routeConfirmation: ["when"]
        case .limit: ["on", "per", "allow", "burst", "mode", "charge", "description"]
        case .limitMode: ["enforce"]
        case .planChange: ["allow", "burst", "mode"]
        case .organization: ["plan", "tokens", "overrides", "jobCaps", "description"]
        case .token: ["sha256", "scopes", "subject", "expires", "organizations", "description"]
        case .override: ["limit", "allow", "burst", "mode", "until", "reason"]
        case .lease: ["conflicts", "lifetime", "settle", "description"]
        case .jobStatuses: ["active", "final", "cancelled", "description"]
        case .jobCap: ["per", "max", "description"]
        case .errorRule: ["on", "when", "replaceWith", "upstream", "description"]
        case .errorCondition: ["status", "field", "matches"]
        case .errorReplacement: ["status", "code", "message", "retryAfter"]
        }
    }
}

extension Shape {
    /// The nearest objects that have a field that this one lacks; all of them if several are equally near.
    func owners(of member: JSONMember) -> [Shape] {
        // Nearly every object has a description.
        guard member.name != "description" else { return [] }
        var owners = Self.allCases.filter { $0.fields.contains(member.name) }
        // The members of the value distinguish the gateway's timeouts from those of a route.
        if let inner = member.value.object {
            let fitting = owners.filter { home in
                guard let child = Shape(rawValue: (home.components + [member.name]).joined(separator: ".")) else {
                    return false
                }
                return inner.allSatisfy { child.fields.contains($0.name) }
            }
            if !fitting.isEmpty { owners = fitting }
        }
        let shortest = owners.map(distance).min()
        return owners.filter { distance(to: $0) == shortest }
    }

    /// The object's position, for messages.
    var text: String {
        guard self != .file else { return "the top level of a file" }
        let isInList = self == .certificate || self == .override
        let names = isInList ? components.dropLast() : components[...]
        let path = names.map { $0 == "*" ? "NAME" : $0 }.joined(separator: ".")
        return isInList ? "an element of \"\(path)\"" : "\"\(path)\""
    }

    private var components: [String] { rawValue.split(separator: ".").map(String.init) }

    /// The number of levels up and down.
    private func distance(to other: Shape) -> Int {
        let (here, there) = (components, other.components)
        let common = zip(here, there).prefix { $0 == $1 }.count
        return here.count + there.count - 2 * common
    }
}

extension DiagnosticCollector {
    /// The help for a field that an object does not have: the field that it misspells, or the object to which it
    /// belongs.
    func help(for member: JSONMember, in shape: Shape) -> [String] {
        let near = suggestion(for: member.name, among: shape.fields)
        guard near.isEmpty, canSuggestMore else { return near }
        let owners = shape.owners(of: member)
        // If many objects have the field, naming them does not help.
        guard let first = owners.first, owners.count <= 2 else { return [] }
        guard first != .file else { return ["\"\(member.name)\" is a section: move it to the top level of a file"] }
        return ["\"\(member.name)\" is a field of \(owners.map(\.text).joined(separator: " or "))"]
    }
}
