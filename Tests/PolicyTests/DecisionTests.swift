import Policy
import Testing

@Suite("Deciding")
struct DecisionTests {
    private let set: PolicySet

    init() throws {
        set = try policySet(
            """
            {
              scopes: { read: {}, write: {}, admin: {} },
              routes: {
                open: { match: "GET /open", public: true, respond: 204 },
                read: { match: "GET /v1/organizations/{organization}/things/{connection}", scope: "read" },
                write: { match: "POST /v1/organizations/{organization}/things/{connection}", scope: ["write", "admin"],
                         class: "write", lease: "sync" },
                sources: { match: "GET /v1/sources/{connection}", scope: "read", family: "airweave" },
              },
              limits: {
                slow: { on: "write", per: ["organization", "connection"], allow: "6/min", burst: 2 },
                all: { on: "*", per: "token", allow: "100/s" },
              },
              plans: { big: { slow: { allow: "60/min" }, all: { mode: "observe" } } },
              concurrency: { sync: { conflicts: ["sync"] } },
              organizations: {
                org_a: {
                  tokens: {
                    reader: { sha256: "\(hex(1))", scopes: "read" },
                    writer: { sha256: "\(hex(2))", scopes: ["read", "write", "admin"] },
                    half: { sha256: "\(hex(3))", scopes: ["write"] },
                    old: { sha256: "\(hex(4))", scopes: "read", expires: "2026-07-01T00:00:10Z" },
                    both: { sha256: "\(hex(5))", scopes: ["read", "write", "admin"], organizations: ["org_b"] },
                  },
                  overrides: [
                    { limit: "slow", allow: "1/s", burst: 7, until: "2026-07-01T00:01:00Z" },
                    { limit: "slow", allow: "2/s", until: "2026-07-01T00:02:00Z" },
                  ],
                },
                org_b: { plan: "big", tokens: { ci: { sha256: "\(hex(6))", scopes: "read" } } },
              },
            }
            """)
    }

    private func credential(_ byte: UInt8) -> Credential { digest(byte).map(Credential.digest) ?? .missing }

    private func refusal(
        _ method: String, _ path: String, _ credential: Credential = .missing, organization: String? = nil,
        now: Int64 = testNow
    ) -> Refusal? {
        guard case .refuse(let refusal) = set.decide(method, path, credential, organization: organization, now: now)
        else {
            return nil
        }
        return refusal
    }

    private func grant(
        _ method: String, _ path: String, _ credential: Credential, organization: String? = nil, now: Int64 = testNow
    ) throws -> Grant {
        switch set.decide(method, path, credential, organization: organization, now: now) {
        case .forward(let grant), .respond(_, let grant): return grant
        case .options, .refuse:
            Issue.record("\(method) \(path) is not granted")
            throw Unloaded()
        }
    }

    private static let thing = "/v1/organizations/org_a/things/c"

    /// One row for each way to be refused.
    enum Row: CaseIterable {
        case noRoute, methodNotAllowed, ambiguousPath, missing, malformed, unknown, expired, organizationDenied
        case headerDenied, otherHeaderDenied, ambiguousCredential, ambiguousOrganization, insufficientScope
    }

    @Test("Decision: each refusal is reached, and only by what it is for", arguments: Row.allCases)
    func refusals(row: Row) throws {
        let thing = Self.thing
        let found: Refusal?
        switch row {
        case .noRoute: found = refusal("GET", "/v1", credential(1))
        case .methodNotAllowed: found = refusal("PUT", thing, credential(1))
        case .ambiguousPath: found = refusal("GET", "/v1/organizations/org_a/things/%63", credential(1))
        case .missing: found = refusal("GET", thing)
        case .malformed: found = refusal("GET", thing, .malformed)
        case .unknown: found = refusal("GET", thing, credential(99))
        case .expired: found = refusal("GET", thing, credential(4), now: testNow + 10)
        case .organizationDenied: found = refusal("GET", "/v1/organizations/org_b/things/c", credential(1))
        case .headerDenied: found = refusal("GET", "/v1/sources/c", credential(1), organization: "org_b")
        case .otherHeaderDenied: found = refusal("GET", thing, credential(5), organization: "org_b")
        case .ambiguousCredential: found = refusal("GET", thing, .ambiguous)
        case .ambiguousOrganization: found = refusal("GET", "/v1/sources/c", credential(5))
        case .insufficientScope: found = refusal("POST", thing, credential(3))
        }
        // No default: a new refusal needs a row.
        switch try #require(found) {
        case .noRoute(let family):
            #expect(row == .noRoute && family == .other)
        case .methodNotAllowed(let allow, let family):
            #expect(row == .methodNotAllowed && allow == "GET, HEAD, POST, OPTIONS" && family == .aitronos)
        case .ambiguousPath(let family):
            #expect(row == .ambiguousPath && family == .aitronos)
        case .unauthenticated(let route, let failure):
            #expect(route.id == "read")
            let expected: [CredentialFailure: Row] = [
                .missing: .missing, .malformed: .malformed, .unknown: .unknown, .expired: .expired,
                .ambiguous: .ambiguousCredential,
            ]
            #expect(expected[failure] == row)
        case .organizationDenied(let route, let principal, let asked):
            #expect(
                row == .organizationDenied || row == .otherHeaderDenied
                    || (row == .headerDenied && route.family == .airweave))
            #expect(
                principal.tokenID == (row == .otherHeaderDenied ? "org_a/both" : "org_a/reader") && asked == "org_b")
        case .ambiguousOrganization(let route, let principal):
            #expect(row == .ambiguousOrganization && route.id == "sources" && principal.tokenID == "org_a/both")
        case .insufficientScope(let route, let principal, _, let required):
            #expect(row == .insufficientScope && route.id == "write" && principal.tokenID == "org_a/half")
            #expect(required == "write admin" && route.scopesMissing(in: principal.scopes) == "admin")
        }
    }

    @Test("Decision: a refusal has its family, route and principal as far as they are known")
    func facts() {
        #expect(refusal("GET", "/nowhere")?.route == nil)
        #expect(refusal("GET", "/v1/sources/c")?.family == .airweave)
        #expect(refusal("GET", "/v1/sources/c")?.principal == nil)
        #expect(refusal("GET", "/v1/sources/c", credential(5))?.principal?.tokenID == "org_a/both")
        #expect(refusal("POST", Self.thing, credential(3))?.route?.id == "write")
    }

    @Test("Decision: the first check that fails decides: route, credential, organization, scope")
    func order() {
        guard case .noRoute = refusal("GET", "/nowhere", .malformed),
            case .unauthenticated = refusal("POST", "/v1/organizations/org_b/things/c", credential(99)),
            case .organizationDenied = refusal("POST", "/v1/organizations/org_b/things/c", credential(3)),
            case .insufficientScope = refusal("POST", Self.thing, credential(3))
        else {
            Issue.record("another order")
            return
        }
    }

    @Test("Decision: a grant has everything that the next stages need")
    func grants() throws {
        let grant = try grant("POST", Self.thing, credential(2), now: testNow + 300)
        #expect(grant.route.id == "write" && grant.route.lease?.name == "sync" && grant.needsConnection)
        #expect(grant.principal?.tokenID == "org_a/writer" && grant.organization?.id == "org_a")
        #expect(grant.captures == RouteCaptures(organization: 18..<23, connection: 31..<32))
        #expect(grant.limits.map(\.name) == ["all", "slow"] && grant.limits.map(\.index) == [0, 1])
        #expect(grant.limits.map(\.count) == [100, 6] && grant.limits.map(\.burst) == [100, 2])
        #expect(grant.limits[1].per == [.organization, .connection])
        let reading = try self.grant("GET", Self.thing, credential(1))
        #expect(reading.limits.map(\.name) == ["all"] && !reading.needsConnection)
    }

    @Test("Decision: a public route needs no credential, and has no limits")
    func publicRoute() throws {
        for credential in [Credential.missing, .malformed, credential(99), credential(1)] {
            let grant = try grant("HEAD", "/open", credential)
            #expect(grant.principal == nil && grant.organization == nil && grant.limits.isEmpty)
            #expect(grant.route.respondStatus == 204)
            guard case .respond(status: 204, _) = set.decide("HEAD", "/open", credential) else {
                Issue.record("the route's own answer is not given")
                continue
            }
        }
    }

    @Test("Decision: OPTIONS needs no credential")
    func options() {
        guard case .options("GET, HEAD, POST, OPTIONS", .aitronos) = set.decide("OPTIONS", Self.thing) else {
            Issue.record("\(set.decide("OPTIONS", Self.thing))")
            return
        }
    }

    @Test("Decision: a token of several organizations acts for the one that is named, in the path or in the header")
    func severalOrganizations() throws {
        #expect(try grant("GET", Self.thing, credential(5)).organization?.id == "org_a")
        #expect(try grant("GET", "/v1/organizations/org_b/things/c", credential(5)).organization?.id == "org_b")
        #expect(try grant("GET", "/v1/sources/c", credential(5), organization: "org_b").organization?.id == "org_b")
        #expect(try grant("GET", "/v1/sources/c", credential(1)).organization?.id == "org_a")
        #expect(try grant("GET", "/v1/sources/c", credential(1), organization: "").organization?.id == "org_a")
        #expect(try grant("GET", "/v1/sources/c", credential(1), organization: "org_a").organization?.id == "org_a")
        // Beside a path that names one the header may only say the same.
        for header in ["", "org_a"] {
            #expect(try grant("GET", Self.thing, credential(5), organization: header).organization?.id == "org_a")
        }
        #expect(refusal("GET", Self.thing, credential(5), organization: "org_b") != nil)
        #expect(refusal("GET", "/v1/organizations/ORG_A/things/c", credential(1)) != nil)
        #expect(refusal("GET", "/v1/organizations/org_/things/c", credential(1)) != nil)
    }

    @Test("Decision: a token counts up to the second in which it expires")
    func expiry() throws {
        #expect(try grant("GET", Self.thing, credential(4), now: testNow + 9).principal?.expiresAt == testNow + 10)
        #expect(refusal("GET", Self.thing, credential(4), now: testNow + 10) != nil)
    }

    @Test("Decision: a plan changes limits, and an override does until it ends")
    func limits() throws {
        let plan = try grant("GET", "/v1/organizations/org_b/things/c", credential(6))
        #expect(plan.limits.map(\.mode) == [.observe])
        let other = try grant("POST", "/v1/organizations/org_b/things/c", credential(5))
        #expect(other.limits.last?.count == 60 && other.limits.last?.burst == 2)
        #expect(other.limits.last?.key == set.limits.last?.key)

        let slow = { (seconds: Int64) in try grant("POST", Self.thing, credential(2), now: testNow + seconds).limits[1]
        }
        let rates = try [0, 59, 60, 119, 120].map { try slow($0) }.map { [$0.count, $0.periodSeconds, $0.burst] }
        #expect(rates == [[1, 1, 7], [1, 1, 7], [2, 1, 2], [2, 1, 2], [6, 60, 2]])
        // What nothing changes is shared.
        #expect(try slow(120) === set.limits[1])
    }

    @Test("Decision: a digest has 32 bytes, and every one of them counts")
    func digests() throws {
        #expect(digest(of: [UInt8](repeating: 1, count: 31)) == nil)
        #expect(digest(of: [UInt8](repeating: 1, count: 33)) == nil)
        for index in 0..<32 {
            var bytes = [UInt8](repeating: 1, count: 32)
            bytes[index] ^= 0x80
            let changed = try #require(digest(of: bytes))
            #expect(changed != digest(1))
            #expect(refusal("GET", Self.thing, .digest(changed)) != nil)
        }
    }
}
