import Policy
import Testing

@Suite("The shipped policies")
struct ShippedPoliciesTests {
    private let set: PolicySet

    init() throws {
        let token = """
            { organizations: { org_xyz789: { tokens: { demo: {
              sha256: "\(hex(7))", scopes: ["connectors:read", "connectors:write", "connectors:run"] } } } } }
            """
        let files = try shippedFiles() + [PolicyFile(name: "state/demo-token.json5", bytes: Array(token.utf8))]
        guard case .loaded(let set, let warnings) = PolicySet.load(files: files, sha256: stubHash, now: testNow) else {
            throw Unloaded()
        }
        #expect(warnings.isEmpty)
        self.set = set
    }

    @Test("Shipped policies: they load without a finding")
    func clean() throws {
        switch PolicySet.load(files: try shippedFiles(), sha256: stubHash, now: testNow) {
        case .loaded(let set, let warnings):
            #expect(warnings.map(\.rendered) == [])
            #expect(set.organizations["org_xyz789"] != nil)
        case .refused(let diagnostics):
            Issue.record("\(diagnostics.map(\.rendered).joined())")
        }
    }

    @Test("Shipped policies: their gateway section repeats the defaults, and limits failed authentications")
    func defaults() {
        var expected = GatewaySettings()
        // A limit, which only policies set.
        expected.failedAuthentications = .init(count: 60, periodSeconds: 60, burst: 100)
        #expect(set.settings == expected)
    }

    @Test(
        "Shipped policies: each operation of the API has its name, with and without a slash at the end",
        arguments: shippedOperations)
    func operations(request: String, operation: String) throws {
        let parts = request.split(separator: " ").map(String.init)
        for path in [parts[1], parts[1] + "/"] where path != "//" {
            switch set.decide(parts[0], path, .digest(try #require(digest(7)))) {
            case .forward(let grant), .respond(_, let grant):
                #expect(grant.route.id == operation)
                if !grant.route.isPublic { #expect(grant.organization?.id == "org_xyz789") }
            case .options, .refuse: Issue.record("\(request) is refused")
            }
        }
    }

    @Test("Shipped policies: every operation that starts work is limited and takes a lease")
    func starts() throws {
        let starts = Set([
            "jobs.trigger", "jobs.retry", "connections.refresh", "connections.clear", "source_connections.run",
        ])
        let organization = try #require(set.organizations["org_xyz789"])
        for route in set.routes.routes {
            let names = Set(organization.limits(on: route, now: testNow).map(\.name))
            #expect(names.contains("starts-per-connection") == starts.contains(route.id), "\(route.id)")
            #expect(names.contains("starts-per-organization") == starts.contains(route.id), "\(route.id)")
            if starts.contains(route.id) {
                #expect(route.lease?.lifetime == .job)
                #expect(route.connection != .none)
            }
        }
    }

    @Test("Shipped policies: what starts work excludes everything else that changes the connection")
    func conflicts() throws {
        let matrix = set.concurrency
        let state = try #require(matrix.kind(named: "state"))
        for one in matrix.kinds {
            for other in matrix.kinds {
                #expect(matrix.conflict(of: one, with: other) == !(one == state && other == state))
            }
        }
        #expect(state.lifetime == .request)
    }

    @Test("Shipped policies: Airweave's 400 for a running job becomes 409, on the run only")
    func alreadyRunning() throws {
        let rules = try #require(set.routes.routes.first { $0.id == "source_connections.run" }).errors
        let detail = "Cannot start new sync: a sync job is already running"
        let rule = try #require(rules.first { $0.matches(status: 400, text: detail) })
        #expect(rule.field == ["detail"] && rule.showsOriginalError == nil)
        #expect(rule.replacement.status == 409 && rule.replacement.code == "CONNECTOR_JOB_ALREADY_RUNNING")
        #expect(rule.replacement.retryAfterSeconds == 5)
        #expect(!rule.matches(status: 400, text: "Organization context required (X-Organization-ID header missing)"))
        #expect(!rule.matches(status: 500, text: detail) && !rule.matches(status: 400, text: nil))
        let others = set.routes.routes.filter { $0.id != "source_connections.run" }
        #expect(others.allSatisfy { !$0.errors.contains(rule) })
    }

    @Test(
        "Shipped policies: an nginx error about the gateway's TLS is not the client's fault, on every route",
        arguments: [
            "No required SSL certificate was sent", "The SSL certificate error",
            "The plain HTTP request was sent to HTTPS port",
        ])
    func nginxAndOurTLS(reason: String) throws {
        let page = "<html>\r\n<head><title>400 \(reason)</title></head>\r\n<body>\r\n</body></html>"
        for route in set.routes.routes where route.respondStatus == nil {
            let rule = try #require(route.errors.first { $0.matches(status: 400, text: page) })
            #expect(rule.field == [] && rule.replacement.status == 502 && rule.replacement.code == "BAD_GATEWAY")
            #expect(!rule.matches(status: 400, text: "<title>400 Bad Request</title>"))
        }
    }

    @Test(
        "Shipped policies: the paths at which the gateway asks about jobs are in the routes, and are those of the API")
    func jobPaths() throws {
        let job = try #require(set.routes.path(showing: .job, family: .aitronos, near: ""))
        #expect(job.path(organization: "org_xyz789", job: "job_1") == "\(connectors)/jobs/job_1")
        let jobs = try #require(set.routes.path(showing: .jobs, family: .aitronos, near: ""))
        #expect(jobs.path(organization: "org_xyz789") == "\(connectors)/jobs")
        let airweave = try #require(set.routes.path(showing: .jobs, family: .airweave, near: ""))
        #expect(!airweave.hasOrganization && airweave.path(connection: "c_1") == "/v1/source-connections/c_1/jobs")
        #expect(set.routes.path(showing: .job, family: .airweave, near: "") == nil)
        let showing = set.routes.routes.filter { $0.jobStatus != nil }.map(\.id)
        #expect(showing == ["jobs.list", "jobs.read", "source_connections.jobs"])
    }

    @Test("Shipped policies: the upstream block that is commented out is one of defaults")
    func upstreamExample() throws {
        let file = try #require(try shippedFiles().first { $0.name == "policies/gateway.json5" })
        // The block ends before the blank line; what is still commented out in it stays so.
        let lines = String(decoding: file.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex { $0.hasPrefix("    // upstream: {") })
        let end = try #require(lines[start...].firstIndex { $0.hasPrefix("    // },") })
        let block = lines[start...end].map { $0.dropFirst("    // ".count) }.joined(separator: "\n")
        let settings = try policySet("{ gateway: { \(block) }, routes: { a: { match: \"GET /\", public: true } } }")
            .settings
        let url = UpstreamURL(isTLS: true, host: "connectors.internal", port: 8443, base: "/api")
        #expect(settings.upstream == UpstreamSettings(endpoints: [url]))
        let uncommented = block.split(separator: "\n").map { line in
            line.hasPrefix("  // ") ? String(line.dropFirst("  // ".count)) : String(line)
        }.joined(separator: "\n")
        let whole = try policySet("{ gateway: { \(uncommented) }, routes: { a: { match: \"GET /\", public: true } } }")
            .settings
        var expected = UpstreamSettings(endpoints: [url])
        expected.ownCredential = whole.upstream?.ownCredential ?? .none
        expected.tls = whole.upstream?.tls ?? expected.tls
        expected.health = UpstreamSettings.HealthCheck(path: "/healthz")
        #expect(whole.upstream == expected && expected.ownCredential != .none)
        #expect(expected.tls.clientCertificate != nil && expected.tls.authorities != nil)
    }

    @Test("Shipped policies: errors of the Airweave routes are told apart, also where no route is found")
    func families() {
        for path in ["/v1/source-connections/a/run", "/source-connections", "/v1/source-connections/x/y/z"] {
            guard case .refuse(let refusal) = set.decide("GET", path) else { continue }
            #expect(refusal.family == .airweave)
        }
        guard case .refuse(let refusal) = set.decide("GET", "/v2/source-connections") else { return }
        #expect(refusal == .noRoute(.other))
    }
}

private let connectors = "/v1/organizations/org_xyz789/knowledge/connectors"
private let source = "/source-connections/550e8400-e29b-41d4-a716-446655440000"
private let shippedOperations = [
    ("GET /", "liveness"), ("HEAD /", "liveness"),
    ("POST \(connectors)/connections/conn_abc123/refresh", "connections.refresh"),
    ("POST \(connectors)/connections/conn_abc123/clear", "connections.clear"),
    ("GET \(connectors)/connections/conn_abc123/state", "connections.state.read"),
    ("HEAD \(connectors)/connections/conn_abc123/state", "connections.state.read"),
    ("PATCH \(connectors)/connections/conn_abc123/state", "connections.state.update"),
    ("PUT \(connectors)/connections/conn_abc123/state", "connections.state.update"),
    ("HEAD \(connectors)/health", "connectors.other.read"), ("HEAD /v1\(source)/x", "source_connections.other.read"),
    ("GET \(connectors)/jobs", "jobs.list"), ("GET \(connectors)/jobs/job_1", "jobs.read"),
    ("POST \(connectors)/jobs", "jobs.trigger"), ("DELETE \(connectors)/jobs/job_1", "jobs.cancel"),
    ("POST \(connectors)/jobs/job_1/retry", "jobs.retry"),
    ("GET \(connectors)/jobs/job_1/logs", "connectors.other.read"),
    ("GET \(connectors)/connections", "connectors.other.read"),
    ("POST \(connectors)/connections", "connectors.other.write"),
    ("DELETE \(connectors)/connections/conn_abc123", "connectors.other.write"),
    ("GET \(connectors)/connections/conn_abc123/sync-status", "connectors.other.read"),
    ("GET \(connectors)/health", "connectors.other.read"),
    ("POST /v1\(source)/run", "source_connections.run"), ("POST \(source)/run", "source_connections.run"),
    ("GET /v1/source-connections", "source_connections.list"), ("GET /source-connections", "source_connections.list"),
    ("POST /v1/source-connections", "source_connections.create"), ("GET /v1\(source)", "source_connections.read"),
    ("GET /v1\(source)/jobs", "source_connections.jobs"),
    ("POST /v1\(source)/jobs/770e8400-e29b-41d4-a716-446655440002/cancel", "source_connections.cancel"),
    ("DELETE /v1\(source)", "source_connections.change"), ("PATCH \(source)", "source_connections.change"),
    ("GET /v1\(source)/anything/else", "source_connections.other.read"),
]
