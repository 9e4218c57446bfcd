internal import JSON

/// Reads the `gateway` section.
struct GatewayDocument {
    private(set) var settings = GatewaySettings()
    /// See ``UpstreamDocument``.
    private(set) var anonymousPolls: SourceSpan?
    private let diagnostics: DiagnosticCollector

    init(_ entries: [NamedValue], _ diagnostics: DiagnosticCollector) {
        self.diagnostics = diagnostics
        for entry in entries {
            // Each entry is one field; wrapped in an object, it gets the checks of objects.
            let member = JSONMember(name: entry.name, nameRange: entry.nameSpan.range, value: entry.value)
            let object = JSONValue(kind: .object([member]), range: entry.value.range)
            let fields = ObjectReader(
                object, at: entry.span, of: "\"gateway\"", shape: .gateway, diagnostics: diagnostics)
            if let fields { read(fields) }
        }
    }

    private mutating func read(_ fields: ObjectReader) {
        readListeners(fields)
        if let workers = fields.integer("workers", in: 1...1024) { settings.workers = workers.value }
        if let tls = object("tls", fields, .tls) { readTLS(tls) }
        readTimeouts(fields)
        readSizes(fields)
        if let connections = object("connections", fields, .connections) {
            if let open = connections.integer("open", in: 1...10_000_000) { settings.connections.open = open.value }
            if let requests = connections.integer("requests", in: 1...1_000_000_000) {
                settings.connections.requests = requests.value
            }
            if let age = connections.duration("age", atLeast: .seconds(1)) { settings.connections.age = age }
        }
        if let log = object("log", fields, .log) {
            let access = log.word("access", of: GatewaySettings.AccessLog.allCases.map { ($0.rawValue, $0) })
            if let access { settings.accessLog = access }
            if let rate = log.rate("errorsPerOrganization")?.value {
                settings.accessLogErrors = GatewaySettings.LogRate(count: rate.count, periodSeconds: rate.periodSeconds)
            }
        }
        if let idempotency = object("idempotency", fields, .idempotency) {
            if let keep = idempotency.duration("keep", atLeast: .seconds(60)) {
                settings.idempotency.keep = keep
            }
            if let memory = idempotency.size("memory", in: (1 << 20)...(128 << 20)) {
                settings.idempotency.memoryBytes = memory
            }
        }
        if let failures = object("failedAuthentications", fields, .failedAuthentications) {
            failures.require("allow", at: failures.span)
            let burst = failures.integer("burst", in: 1...1_000_000_000)?.value
            settings.failedAuthentications = failures.rate("allow").map {
                GatewaySettings.FailureLimit(
                    count: $0.value.count, periodSeconds: $0.value.periodSeconds, burst: burst ?? $0.value.count)
            }
        }
        if let upstream = object("upstream", fields, .upstream) {
            let document = UpstreamDocument(upstream)
            settings.upstream = document.settings
            anonymousPolls = document.anonymousPolls
        }
        for text in fields.strings("trustedProxies", mayBeEmpty: true)?.value ?? [] {
            guard let range = fields.read(text, of: "trustedProxies", AddressRange.init(reading:)) else { continue }
            settings.trustedProxies.append(range)
        }
        for text in fields.strings("adminNames", mayBeEmpty: true)?.value ?? [] {
            guard let name = fields.read(text, of: "adminNames", Self.hostName) else { continue }
            settings.adminNames.append(name)
        }
    }

    private static func hostName(_ text: String) throws(UnitError) -> String {
        try HostAndPort.name(text[...], .badHost)
    }

    private func object(_ name: String, _ fields: ObjectReader, _ shape: Shape) -> ObjectReader? {
        fields.object(name, of: "\"gateway.\(name)\"", shape: shape)
    }

    private mutating func readListeners(_ fields: ObjectReader) {
        if let texts = fields.strings("listen") { settings.listen = texts.value.compactMap(address) }
        guard let admin = fields["admin"] else { return }
        if admin.isNull {
            settings.admin = nil
        } else if let text = fields.string("admin") {
            settings.admin = address(text)
        }
    }

    private func address(_ text: Located<String>) -> ListenAddress? {
        if let address = ListenAddress(text.value) { return address }
        let colon = text.value.lastIndex(of: ":")
        let port = colon.map { text.value[text.value.index(after: $0)...] }
        if let port, let number = Int(port), !(0...65_535).contains(number) {
            diagnostics.error(.outOfRange, "a port must be between 0 and 65535, not \(number)", at: text.span)
        } else {
            diagnostics.error(
                .badAddress, "\"\(text.value)\" is not an address to listen on", at: text.span,
                help: ["write HOST:PORT, for example \"0.0.0.0:8443\", \"localhost:8443\" or \"[::1]:8443\""])
        }
        return nil
    }

    private mutating func readTLS(_ tls: ObjectReader) {
        let versions: [(String, GatewaySettings.TLS.MinimumVersion)] = [("1.2", .tls12), ("1.3", .tls13)]
        if let version = tls.word("minimumVersion", of: versions) { settings.tls.minimumVersion = version }
        if let lifetime = tls.duration("ticketLifetime", atLeast: .seconds(60)) {
            settings.tls.ticketLifetime = lifetime
        }
        guard let value = tls["certificates"] else { return }
        guard let elements = value.array else {
            tls.mismatch("certificates", value, "a list of objects")
            return
        }
        for element in elements {
            let span = tls.span(of: element)
            let fields = ObjectReader(
                element, at: span, of: "a certificate of \"gateway.tls\"", shape: .certificate,
                diagnostics: diagnostics)
            fields?.require("certificate", at: span)
            fields?.require("key", at: span)
            guard let certificate = fields?.file("certificate"), let key = fields?.file("key") else {
                continue
            }
            settings.tls.certificates.append(
                GatewaySettings.CertificateFiles(
                    certificate: certificate, key: key, source: diagnostics.location(of: span)))
        }
    }

    private mutating func readTimeouts(_ fields: ObjectReader) {
        guard let timeouts = object("timeouts", fields, .timeouts) else { return }
        if let found = timeouts.duration("handshake") { settings.timeouts.handshake = found }
        if let found = timeouts.duration("head") { settings.timeouts.head = found }
        if let found = timeouts.duration("bodyProgress") { settings.timeouts.bodyProgress = found }
        if let found = timeouts.duration("body") { settings.timeouts.body = found }
        if let found = timeouts.duration("idle") { settings.timeouts.idle = found }
        if let found = timeouts.duration("write") { settings.timeouts.write = found }
        if let found = timeouts.duration("drainDelay", atLeast: .zero) { settings.timeouts.drainDelay = found }
        if let found = timeouts.duration("drain", atLeast: .zero) { settings.timeouts.drain = found }
    }

    private mutating func readSizes(_ fields: ObjectReader) {
        guard let sizes = object("sizes", fields, .sizes) else { return }
        if let found = sizes.size("head", in: 1024...(1 << 20)) { settings.sizes.headBytes = found }
        if let found = sizes.size("target", in: 256...(1 << 16)) { settings.sizes.targetBytes = found }
        if let found = sizes.integer("headers", in: 10...1000) { settings.sizes.headers = found.value }
        if let found = sizes.size("body", in: 0...(1 << 30)) { settings.sizes.bodyBytes = found }
        if let found = sizes.size("inspectedBody", in: 1024...(16 << 20)) { settings.sizes.inspectedBodyBytes = found }
        if let found = sizes.size("bodyMemory", in: (1 << 20)...(1 << 40)) { settings.sizes.bodyMemoryBytes = found }
    }
}
