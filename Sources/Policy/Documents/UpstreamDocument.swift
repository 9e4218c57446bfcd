internal import Bytes
internal import JSON

/// Reads the `upstream` block of `gateway`.
struct UpstreamDocument {
    private(set) var settings = UpstreamSettings(endpoints: [])
    /// The position to report if the gateway's own requests have no credential; `nil` if they have one, or if `"none"`
    /// says that this is intended.
    private(set) var anonymousPolls: SourceSpan?
    private let diagnostics: DiagnosticCollector

    /// The maximum of endpoints.
    static let capacity = 64

    init(_ fields: ObjectReader) {
        diagnostics = fields.diagnostics
        readEndpoints(fields)
        readHost(fields)
        readCredentials(fields)
        readTLS(fields)
        findAnonymousPolls(fields)
        readTimeouts(fields)
        if let connections = object("connections", fields, .upstreamConnections) {
            if let found = connections.integer("inFlight", in: 1...1_000_000) {
                settings.connections.inFlight = found.value
            }
            if let found = connections.integer("queue", in: 0...1_000_000) { settings.connections.queue = found.value }
            if let found = connections.integer("idle", in: 0...100_000) { settings.connections.idle = found.value }
        }
        if let found = fields.duration("dnsRefresh", atLeast: .seconds(1)) { settings.dnsRefresh = found }
        readHealth(fields)
        if let breaker = object("breaker", fields, .breaker) {
            if let found = breaker.integer("consecutiveFailures", in: 1...10_000) {
                settings.breaker.consecutiveFailures = found.value
            }
            if let found = breaker.duration("openFor") { settings.breaker.openFor = found }
        }
        if let retryBudget = object("retryBudget", fields, .retryBudget) {
            if let found = retryBudget.integer("percent", in: 0...100) { settings.retryBudget.percent = found.value }
            if let found = retryBudget.integer("minPerSecond", in: 0...10_000) {
                settings.retryBudget.minPerSecond = found.value
            }
        }
        if let shows = fields.word("errors", of: [("hide", false), ("show", true)]) {
            settings.showsOriginalError = shows
        }
        _ = fields.string("description")
    }

    private func object(_ name: String, _ fields: ObjectReader, _ shape: Shape) -> ObjectReader? {
        fields.object(name, of: "\"gateway.upstream.\(name)\"", shape: shape)
    }

    private mutating func readEndpoints(_ fields: ObjectReader) {
        fields.require("url", at: fields.span, help: ["for example url: \"https://connectors.internal:8443/api\""])
        guard let texts = fields.texts("url") else { return }
        if texts.value.isEmpty {
            diagnostics.error(.emptyList, "\"url\" of \(fields.owner) must not be empty", at: texts.span)
        }
        if texts.value.count > Self.capacity {
            diagnostics.error(
                .tooMany, "there are \(texts.value.count) endpoints, but at most \(Self.capacity) are allowed",
                at: texts.value[Self.capacity].span)
        }
        var spans: [UpstreamURL: SourceSpan] = [:]
        for text in texts.value {
            guard let url = fields.read(text, of: "url", UpstreamURL.init(reading:)) else { continue }
            if let first = spans[url] {
                // A repeated endpoint would get twice its share of the requests.
                diagnostics.duplicate("the endpoint \"\(url)\"", text.span, first: first)
                continue
            }
            spans[url] = text.span
            settings.endpoints.append(url)
        }
    }

    private mutating func readHost(_ fields: ObjectReader) {
        guard let text = fields.string("host") else { return }
        switch text.value {
        case "upstream": settings.host = .upstream
        case "client": settings.host = .client
        default:
            if let host = fields.read(text, of: "host", Self.hostField) { settings.host = .named(host) }
        }
    }

    private static func hostField(_ text: String) throws(UnitError) -> String {
        guard !text.contains("@"), !text.contains("/") else {
            throw UnitError(
                .badHost, "only a host and a port are allowed here", "for example \"connectors.internal:8443\"",
                isSecret: true)
        }
        return try HostAndPort(reading: text[...], .badHost).text
    }

    private mutating func readTLS(_ fields: ObjectReader) {
        guard let tls = object("tls", fields, .upstreamTLS) else { return }
        if !settings.endpoints.isEmpty, !settings.endpoints.contains(where: \.isTLS) {
            diagnostics.error(
                .conflictingFields, "\"tls\" of \(fields.owner) has no effect: no endpoint uses https",
                at: fields.nameSpan(of: "tls"),
                help: ["write https:// in \"url\", or remove \"tls\""])
        }
        settings.tls.authorities = tls.file("authorities")
        if let name = tls.string("serverName") {
            settings.tls.serverName = tls.read(name, of: "serverName", serverName)
        }
        for (one, other) in [("certificate", "key"), ("key", "certificate")] where tls[one] != nil {
            tls.require(
                other, at: tls.nameSpan(of: one), help: ["a certificate needs its key, and a key needs its certificate"]
            )
        }
        guard let certificate = tls.file("certificate"), let key = tls.file("key") else { return }
        settings.tls.clientCertificate = GatewaySettings.CertificateFiles(
            certificate: certificate, key: key, source: diagnostics.location(of: tls.span))
    }

    private func serverName(_ text: String) throws(UnitError) -> String {
        // An address cannot be the name of SNI (RFC 6066, section 3).
        guard IPAddress.bytes(of: text) == nil else {
            throw UnitError(
                .badHost, "\"\(text)\" is an address, not a name", "write a name from the server's certificate")
        }
        return try HostAndPort.name(text[...], .badHost)
    }

    private mutating func readTimeouts(_ fields: ObjectReader) {
        guard let timeouts = object("timeouts", fields, .upstreamTimeouts) else { return }
        if let found = timeouts.duration("connect") { settings.timeouts.connect = found }
        if let found = timeouts.duration("responseHead") { settings.timeouts.responseHead = found }
        if let found = timeouts.duration("bodyProgress") { settings.timeouts.bodyProgress = found }
        if let found = timeouts.duration("total") { settings.timeouts.total = found }
        if let found = timeouts.duration("idle") { settings.timeouts.idle = found }
        if let found = timeouts.duration("queue") { settings.timeouts.queue = found }
    }

    private mutating func readHealth(_ fields: ObjectReader) {
        guard let health = object("health", fields, .health) else { return }
        health.require("path", at: health.span, help: ["for example path: \"/healthz\""])
        let path = health.string("path").flatMap { health.read($0, of: "path", Self.healthPath) }
        var check = UpstreamSettings.HealthCheck(path: path ?? "/")
        if let found = health.duration("interval", atLeast: .milliseconds(100)) { check.interval = found }
        if let found = health.duration("timeout") { check.timeout = found }
        if let found = health.integer("healthy", in: 1...1000) { check.healthy = found.value }
        if let found = health.integer("unhealthy", in: 1...1000) { check.unhealthy = found.value }
        settings.health = check
    }

    /// The path goes into the request line unchanged.
    private static func healthPath(_ text: String) throws(UnitError) -> String {
        guard text.hasPrefix("/"), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
        else {
            throw UnitError(
                .badURL, "\"\(text)\" is not a path",
                "write a path such as \"/healthz\", with a slash first and without spaces; it is appended to the path of the URL"
            )
        }
        return text
    }
}

extension UpstreamDocument {
    private mutating func findAnonymousPolls(_ fields: ObjectReader) {
        guard fields["ownCredential"] == nil, settings.tls.clientCertificate == nil else { return }
        switch settings.credential {
        case .secret: break
        case .pass, .strip:
            // An invalid secret has already been reported.
            if fields["credential"]?.object == nil { anonymousPolls = fields.nameSpan(of: "url") }
        }
    }

    private mutating func readCredentials(_ fields: ObjectReader) {
        if fields["ownCredential"]?.string == "none" {
            settings.ownCredential = .none
        } else if let own = secret("ownCredential", fields) {
            settings.ownCredential = .secret(own)
        }
        guard let value = fields["credential"] else { return }
        if value.object != nil {
            if let secret = secret("credential", fields) { settings.credential = .secret(secret) }
            return
        }
        guard let text = value.string else {
            fields.mismatch("credential", value, "\"pass\", \"strip\" or an object")
            return
        }
        switch text {
        case "pass": settings.credential = .pass
        case "strip": settings.credential = .strip
        default:
            // Any other text may be the credential itself, which must not get into a log.
            var help = diagnostics.suggestion(for: text, among: ["pass", "strip"])
            if help.isEmpty {
                help = ["write \"pass\", \"strip\" or { header: \"Authorization\", secretFile: \"secrets/upstream\" }"]
                diagnostics.conceal(fields.span(of: value))
            }
            diagnostics.error(
                .badValue, "\"credential\" of \(fields.owner) must be \"pass\", \"strip\" or an object",
                at: fields.span(of: value), help: help)
        }
    }

    private func secret(_ name: String, _ fields: ObjectReader) -> UpstreamSettings.Secret? {
        if let value = fields[name], value.string != nil { diagnostics.conceal(fields.span(of: value)) }
        guard let secret = object(name, fields, name == "credential" ? .credential : .ownCredential) else { return nil }
        secret.require("header", at: secret.span, help: ["for example header: \"Authorization\""])
        secret.require(
            "secretFile", at: secret.span,
            help: ["name the file that contains the secret, for example secretFile: \"secrets/upstream\""])
        let header = secret.string("header").flatMap { secret.read($0, of: "header", ReservedFields.check) }
        guard let file = secret.file("secretFile", isSecret: true), let header else { return nil }
        return UpstreamSettings.Secret(header: header, file: file, source: diagnostics.location(of: secret.span))
    }
}
