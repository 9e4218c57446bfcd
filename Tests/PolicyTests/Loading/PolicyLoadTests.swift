import Foundation
import Policy
import Testing

@Suite("Loading a policy set")
struct PolicyLoadTests {
    private static let whole = """
        {
          gateway: { workers: 2, sizes: { head: "16KiB", headers: 50 } },
          scopes: { read: {}, "write": { description: "x" } },
          routes: { a: { match: "GET /a/{connection}", scope: "read" }, b: { match: "POST /a/{connection}", scope: ["write"] } },
          limits: { slow: { on: "*", per: ["token"], allow: "6/min" } },
          concurrency: { sync: { conflicts: ["sync"] } },
          organizations: { o: {
            tokens: { x: { sha256: "\(hex(1))", scopes: "read" }, y: { sha256: "\(hex(2))", scopes: "read" } },
            overrides: [
              { limit: "slow", allow: "1/s", until: "2027-01-01" }, { limit: "slow", allow: "2/s", until: "2027-02-01" },
            ],
          } },
        }
        """
    private static let parts = [
        "// the same\n{ organizations: { o: { overrides: [{ until: '2027-02-01', limit: 'slow', allow: '2/s' }] } } }",
        """
        {
          concurrency: { sync: { conflicts: ["sync"] } }, limits: { slow: { allow: "6/min", per: ["token"], on: "*", } },
          routes: { "b": { scope: ["write"], match: "POST /a/{connection}" } },
          organizations: { o: { tokens: { y: { scopes: "read", sha256: "\(hex(2))" } } } },
        }
        """,
        "{ gateway: { sizes: { headers: 0x32, head: \"16KiB\" } }, scopes: { write: { description: \"\\u0078\" } }, plans: {} }",
        """
        { routes: { a: { match: "GET /a/{connection}", scope: "read" } }, scopes: { read: {} }, gateway: { workers: +2 },
          organizations: { o: { tokens: { x: { sha256: "\(hex(1))", scopes: "read" } },
            overrides: [{ limit: "slow", allow: "1/s", until: "2027-01-01" }] } } }
        """,
    ]

    @Test("PolicyLoad: the version is the same however the set is split, ordered, spelled and commented")
    func version() throws {
        let version = try policySet(Self.whole).version
        #expect(version.utf8.count == 64)
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            switch load(order.map { Self.parts[$0] }) {
            case .loaded(let set, let warnings):
                #expect(set.version == version)
                #expect(warnings.isEmpty)
                #expect(set.tokenCount == 2)
            case .refused(let diagnostics): Issue.record("\(diagnostics.map(\.rendered).joined())")
            }
        }
    }

    @Test(
        "PolicyLoad: the version changes with the meaning",
        arguments: [
            ("6/min", "7/min"), ("GET /a", "GET /b"), ("workers: 2", "workers: 3"),
            ("[\"token\"]", "[\"organization\"]"),
            ("2027-01-01", "2027-01-02"), ("scopes: \"read\" }, y", "scopes: \"write\" }, y"), ("{ x:", "{ z:"),
        ])
    func otherVersion(old: String, new: String) throws {
        let changed = Self.whole.replacingOccurrences(of: old, with: new)
        try #require(changed != Self.whole)
        #expect(try policySet(changed).version != policySet(Self.whole).version)
    }

    @Test("PolicyLoad: nothing in a file can trap the loader")
    func mutations() {
        let bytes = Array(Self.whole.utf8)
        for index in bytes.indices {
            for replacement in Array("\"{]:,\\x ".utf8) + [0xFF] {
                var changed = bytes
                changed[index] = replacement
                let file = PolicyFile(name: "a.json5", bytes: changed)
                switch PolicySet.load(files: [file], sha256: stubHash, now: testNow) {
                case .loaded: break
                case .refused(let diagnostics):
                    #expect(!diagnostics.isEmpty && diagnostics.contains { $0.severity == .error })
                    if index % 16 == 0 { #expect(diagnostics.allSatisfy { !$0.rendered.isEmpty }) }
                }
            }
        }
    }

    @Test("PolicyLoad: no files are no policy set")
    func empty() {
        guard case .refused(let diagnostics) = load([]) else {
            Issue.record("loaded")
            return
        }
        #expect(diagnostics.map(\.code) == [.noRoutes])
    }

    @Test("PolicyLoad: Settings arrive, and what is left out has its default")
    func settings() throws {
        let settings = try policySet(
            """
            {
              gateway: {
                listen: ["localhost:0", "[::1]:8443"], admin: null, workers: 3,
                tls: { certificates: [{ certificate: "a.pem", key: "/k/a.key" }], minimumVersion: "1.3", ticketLifetime: "1h" },
                timeouts: { handshake: "250ms", idle: "5min", drainDelay: "0s", drain: "1d" },
                sizes: { head: 2048, body: "1GiB", inspectedBody: "64KiB", bodyMemory: "1GiB" },
                connections: { open: 5, requests: 1000, age: "12h" },
                log: { access: "errors" },
              },
              routes: { a: { match: "GET /", public: true, maxBody: "1KiB" }, b: { match: "GET /b", public: true } },
            }
            """)
        var expected = GatewaySettings()
        expected.listen = [ListenAddress(host: "localhost", port: 0), ListenAddress(host: "::1", port: 8443)]
        expected.admin = nil
        expected.workers = 3
        expected.tls.certificates = [
            .init(certificate: "a.pem", key: "/k/a.key", source: "policies/0.json5:4:27")
        ]
        expected.tls.minimumVersion = .tls13
        expected.tls.ticketLifetime = .seconds(3600)
        expected.timeouts.handshake = .milliseconds(250)
        expected.timeouts.idle = .seconds(300)
        expected.timeouts.drainDelay = .zero
        expected.timeouts.drain = .seconds(86_400)
        expected.sizes.headBytes = 2048
        expected.sizes.bodyBytes = 1 << 30
        expected.sizes.inspectedBodyBytes = 64 << 10
        expected.sizes.bodyMemoryBytes = 1 << 30
        expected.connections.open = 5
        expected.connections.requests = 1000
        expected.connections.age = .seconds(12 * 3600)
        expected.accessLog = .errors
        #expect(settings.settings == expected)
        #expect(settings.routes.routes.map(\.maxBodyBytes) == [1024, 1 << 30])
        #expect(settings.settings.listen.map(\.description) == ["localhost:0", "[::1]:8443"])
    }

    @Test(
        "PolicyLoad: times are read as RFC 3339 has them",
        arguments: [
            ("1970-01-01", 0), ("1969-12-31T23:59:59Z", -1), ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-07-01T00:00:00Z", 1_782_864_000),
            ("2026-07-01t02:00:00.999+02:00", 1_782_864_000), ("2026-06-30T19:30:00-04:30", 1_782_864_000),
            ("2100-03-01", 4_107_542_400),
        ] as [(String, Int64)])
    func times(text: String, seconds: Int64) throws {
        let set = try policySet(
            """
            { scopes: { s: {} }, routes: { a: { match: "GET /a", scope: "s" } },
              organizations: { o: { tokens: { t: { sha256: "\(hex(1))", scopes: "s", expires: "\(text)" } } } } }
            """, now: .min)
        let credential = Credential.digest(try #require(digest(1)))
        guard case .principal(let principal) = set.authenticate(credential, now: .min) else {
            Issue.record("no principal")
            return
        }
        #expect(principal.expiresAt == seconds)
    }

    @Test("PolicyLoad: the summary of a check counts what there is, and the exit code follows the errors")
    func check() {
        let good = PolicyCheck(load([Self.whole]), folder: "policies", fileCount: 1)
        #expect(good.exitCode == 0 && good.findings.isEmpty)
        #expect(good.summary.hasPrefix("policies: 1 file, 2 routes, 1 limit, 1 organization, 2 tokens, version "))
        #expect(good.summary.hasSuffix(", 0 errors, 0 warnings"))
        let bad = PolicyCheck(load(["{ a: {} }", "{ b: 1 }"]), folder: "p", fileCount: 2)
        #expect(bad.exitCode == 1 && bad.summary == "p: 2 files, 2 errors, 0 warnings")
        #expect(bad.findings.contains("[unknown-section]"))
    }

    @Test("PolicyLoad: every example of the README goes with the shipped policies, but for names that both define")
    func examples() throws {
        let readme = try String(contentsOf: repository.appendingPathComponent("policies/README.md"), encoding: .utf8)
        let blocks = readme.components(separatedBy: "```json5\n").dropFirst()
        #expect(blocks.count >= 7)
        for block in blocks {
            let text = block.components(separatedBy: "```").first ?? ""
            // In front: of two entries of one name the first is looked at.
            let files = [PolicyFile(name: "README.md", bytes: Array(text.utf8))] + (try shippedFiles())
            guard case .refused(let diagnostics) = PolicySet.load(files: files, sha256: stubHash, now: testNow) else {
                continue
            }
            let errors = diagnostics.filter { $0.severity == .error && $0.code != .duplicateName }
            #expect(errors.isEmpty, "\(errors.map(\.rendered).joined())")
        }
    }

    @Test("PolicyLoad: each rule of a limit has its own position, whoever has it")
    func positions() throws {
        let set = try policySet(
            """
            { scopes: { s: {} }, routes: { a: { match: "GET /a", scope: "s" } },
              limits: { x: { on: "*", per: "token", allow: "1/s" }, y: { on: "*", per: "token", allow: "9/min" } },
              plans: { p: { x: { allow: "2/s" } } },
              organizations: {
                o: { tokens: { t: { sha256: "\(hex(1))", scopes: "s" } } },
                q: { plan: "p", tokens: { t: { sha256: "\(hex(2))", scopes: "s" } } },
                r: { plan: "p", tokens: { t: { sha256: "\(hex(3))", scopes: "s" } },
                     overrides: [{ limit: "y", allow: "3/s", until: "2099-01-01" }] },
              } }
            """)
        #expect(set.limitRules.map(\.position) == Array(set.limitRules.indices))
        let route = set.routes.routes[0]
        for organization in set.organizations.values {
            for rule in organization.limits(on: route, now: testNow) {
                #expect(set.limitRules[rule.position] === rule)
            }
        }
        #expect(set.limits.allSatisfy { set.limitRules[$0.position] === $0 })
    }

    @Test("PolicyLoad: many organizations and tokens are all found, and only they")
    func scale() throws {
        let organizations = 500
        let perOrganization = 4
        func number(_ organization: Int, _ token: Int) -> [UInt8] {
            stubHash(Array("\(organization)/\(token)".utf8).span)
        }
        var text =
            "{ scopes: { s: {} }, routes: { a: { match: \"GET /{organization}\", scope: \"s\" } }, organizations: {\n"
        for organization in 0..<organizations {
            text += "org_\(organization): { tokens: {"
            for token in 0..<perOrganization {
                let hash = number(organization, token).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                text += " t\(token): { sha256: \"\(hash)\", scopes: [\"s\"] },"
            }
            text += " } },\n"
        }
        let set = try policySet(text + "} }")
        #expect(set.tokenCount == organizations * perOrganization && set.organizations.count == organizations)
        for organization in 0..<organizations {
            for token in 0..<perOrganization {
                let known = try #require(digest(of: number(organization, token)))
                guard case .forward(let grant) = set.decide("GET", "/org_\(organization)", .digest(known)) else {
                    Issue.record("org_\(organization)/t\(token) is refused")
                    continue
                }
                #expect(grant.principal?.tokenID == "org_\(organization)/t\(token)")
            }
            let stranger = try #require(digest(of: number(organization, perOrganization)))
            #expect(set.authenticate(.digest(stranger), now: testNow) == .failure(.unknown))
        }
    }
}
