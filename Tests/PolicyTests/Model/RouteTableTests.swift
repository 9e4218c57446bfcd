import Policy
import Testing

@Suite("Finding the route")
struct RouteTableTests {
    private let table: RouteTable

    init() throws {
        table = try policySet(
            """
            {
              scopes: { s: {} },
              routes: {
                root: { match: "GET /", public: true },
                list: { match: "GET /v1/organizations/{organization}/jobs", scope: "s" },
                trigger: { match: "POST /v1/organizations/{organization}/jobs", scope: "s" },
                job: { match: "GET,DELETE /v1/organizations/{organization}/jobs/{job}", scope: "s" },
                "job.latest": { match: "GET /v1/organizations/{organization}/jobs/latest", scope: "s" },
                "job.logs": { match: "GET /v1/organizations/{organization}/jobs/{job}/logs", scope: "s" },
                state: { match: "GET /v1/organizations/{organization}/connections/{connection}/state", scope: "s" },
                rest: { match: "* /v1/organizations/{organization}/**", scope: "s" },
                run: { match: ["POST /v1/sources/{connection}/run", "POST /sources/{connection}/run"],
                       scope: "s", family: "airweave" },
                any: { match: "GET /v1/any/*/thing", scope: "s" },
              },
            }
            """
        ).routes
    }

    @Test(
        "RouteTable: the most exact pattern wins",
        arguments: [
            ("GET", "/", "root"), ("HEAD", "/", "root"), ("GET", "/v1/organizations/o/jobs", "list"),
            ("HEAD", "/v1/organizations/o/jobs", "list"), ("GET", "/v1/organizations/o/jobs/", "list"),
            ("POST", "/v1/organizations/o/jobs", "trigger"), ("POST", "/v1/organizations/o/jobs/", "trigger"),
            ("GET", "/v1/organizations/o/jobs/j", "job"), ("DELETE", "/v1/organizations/o/jobs/j/", "job"),
            ("GET", "/v1/organizations/o/jobs/latest", "job.latest"),
            ("DELETE", "/v1/organizations/o/jobs/latest", "job"),
            ("GET", "/v1/organizations/o/jobs/latest/logs", "job.logs"),
            ("GET", "/v1/organizations/o/jobs/j/logs/x", "rest"), ("GET", "/v1/organizations/o/x", "rest"),
            ("GET", "/v1/organizations/o/x/y/z/", "rest"), ("PATCH", "/v1/organizations/o/connections/c", "rest"),
            ("GET", "/v1/organizations/o/connections/c/state", "state"), ("POST", "/v1/sources/c/run", "run"),
            ("POST", "/sources/c/run", "run"), ("GET", "/v1/any/1/thing", "any"),
            ("GET", "/v1/organizations/o/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t", "rest"),
            ("GET", "/v1/organizations/...o/jobs/a.b~c:d@e!$&'()*+,=", "job"),
        ])
    func matches(method: String, path: String, id: String) {
        guard case .route(let route, _) = table.match(method, path) else {
            Issue.record("\(method) \(path): \(table.match(method, path))")
            return
        }
        #expect(route.id == id)
    }

    @Test("RouteTable: captures are the raw segments")
    func captures() {
        let path = "/v1/organizations/org_1/connections/Conn-2/state"
        guard case .route(_, let captures) = table.match("GET", path) else {
            Issue.record("no route")
            return
        }
        let bytes = Array(path.utf8)
        #expect(captures.organization.map { String(decoding: bytes[$0], as: UTF8.self) } == "org_1")
        #expect(captures.connection.map { String(decoding: bytes[$0], as: UTF8.self) } == "Conn-2")
        #expect(captures.job == nil)
        guard case .route(_, let other) = table.match("GET", "/v1/organizations/o/jobs/job_9/") else { return }
        #expect(other == RouteCaptures(organization: 18..<19, job: 25..<30))
    }

    @Test("RouteTable: the match names the path of the service")
    func servicePath() throws {
        let text = """
            {
              scopes: { s: {} },
              routes: {
                state: { match: "GET /v1/{organization}/{connection}/state", scope: "s" },
                other: { match: "GET /{organization}/*/state", scope: "s" },
                rest: { match: "GET /v1/{organization}/**", scope: "s" },
                root: { match: "GET /", public: true },
              },
            }
            """
        let load = PolicySet.load(
            files: [PolicyFile(name: "a.json5", bytes: Array(text.utf8))], sha256: stubHash, now: testNow,
            servicePaths: [
                "/other", "/v1/{organization}/{connection}/state", "/{organization}/{connection}/state", "/",
            ])
        guard case .loaded(let set, _) = load else {
            Issue.record("\(load)")
            return
        }
        func found(_ path: String) -> Int? {
            guard case .route(_, let captures) = set.routes.match("GET", path) else { return nil }
            return captures.servicePath
        }
        #expect(found("/v1/o/c/state") == 1)
        #expect(found("/v1/o/c/state/") == 1)
        #expect(found("/o/c/state") == nil)
        #expect(found("/v1/o/c/other") == nil)
        #expect(found("/") == 3)
    }

    @Test(
        "RouteTable: a path that can be read in two ways is refused",
        arguments: [
            "/v1/organizations/o%31/jobs", "/v1/organizations/o/jobs/%2e%2e", "/v1/organizations/o/%6Aobs",
            "/v1/organizations//jobs", "/v1/organizations/o//jobs", "/v1/organizations/o/jobs//",
            "//v1/organizations/o/jobs",
            "/v1/organizations/./jobs", "/v1/organizations/../jobs", "/v1/organizations/o/x/../jobs",
            "/v1/organizations/o/jobs/.",
            "/v1/organizations/o/jobs/..", "/v1/organizations/o/x/..", "/v1/organizations/o/x/./y",
            "/v1/organizations/o\\x/jobs",
            "/v1/organizations/o;v=1/jobs", "/v1/organizations/o/jobs;x", "/v1/organizations/o/x;y",
            "/v1/organizations/\u{e9}/jobs",
            "/v1/organizations/o/x y", "/v1/organizations/o/x\u{7f}", "/v1/organizations/o/<x>",
            "/v1/organizations/o/x\0",
            "/v1/organizations/o/Jobs", "/v1/organizations/o/JOBS/j", "/v1/organizations/o/jobs/Latest",
            "/v1/any/%41/thing",
            "/v1/sources/a%2Fb/run", "/v1/./sources/a/run", "/v1%2Fsources/a/run", "/nowhere/%41", "/nowhere/../v1",
            "/v1/organizations/o/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/..",
        ])
    func ambiguous(path: String) {
        for method in ["GET", "POST", "OPTIONS", "HEAD"] where !(method == "POST" && path == "/v1/any/%41/thing") {
            guard case .ambiguousPath = table.match(method, path) else {
                Issue.record("\(method) \(path): \(table.match(method, path))")
                continue
            }
        }
    }

    @Test(
        "RouteTable: a path without a route is not found",
        arguments: [
            "", "*", "v1", "/v2", "/v1", "/v1/", "/v1/organizations", "/v1/organizations/o", "/v1/organizations/o/",
            "/V1/any/x/thing",
            "/v1/any/thing", "/v1/any/x/thing/y", "/sources", "/sources/c/run/now", "/v1/any/x/things",
            "/v1/any/x/thin",
        ])
    func missing(path: String) {
        guard case .notFound = table.match("GET", path) else {
            Issue.record("\(path): \(table.match("GET", path))")
            return
        }
    }

    @Test(
        "RouteTable: a method that a path does not have is reported with those that it has",
        arguments: [
            ("GET", "/sources/c/run", "POST, OPTIONS"), ("DELETE", "/", "GET, HEAD, OPTIONS"),
            ("TRACE", "/v1/organizations/o/x", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("TRACE", "/v1/organizations/o/jobs", "GET, HEAD, POST, OPTIONS"),
            // A path with a route is not the wildcard's, whatever the method.
            ("PUT", "/v1/organizations/o/jobs", "GET, HEAD, POST, OPTIONS"),
            ("PUT", "/v1/organizations/o/jobs/", "GET, HEAD, POST, OPTIONS"),
            ("POST", "/v1/organizations/o/jobs/j", "GET, HEAD, DELETE, OPTIONS"),
            ("POST", "/v1/organizations/o/jobs/latest", "GET, HEAD, DELETE, OPTIONS"),
            ("PATCH", "/v1/organizations/o/connections/c/state", "GET, HEAD, OPTIONS"),
            ("get", "/", "GET, HEAD, OPTIONS"), ("", "/", "GET, HEAD, OPTIONS"),
            ("POST", "/v1/any/x/thing/", "GET, HEAD, OPTIONS"),
        ])
    func wrongMethod(method: String, path: String, expected: String) {
        guard case .methodNotAllowed(let allow, _) = table.match(method, path) else {
            Issue.record("\(method) \(path): \(table.match(method, path))")
            return
        }
        #expect(allow == expected)
    }

    @Test("RouteTable: OPTIONS lists the methods of a path")
    func options() {
        let expected = [
            ("/sources/c/run", "POST, OPTIONS"), ("/", "GET, HEAD, OPTIONS"),
            ("/v1/organizations/o/jobs", "GET, HEAD, POST, OPTIONS"),
            ("/v1/organizations/o/x", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ]
        for (path, methods) in expected {
            guard case .options(let allow, _) = table.match("OPTIONS", path) else {
                Issue.record("\(path): \(table.match("OPTIONS", path))")
                continue
            }
            #expect(allow == methods)
        }
        guard case .notFound = table.match("OPTIONS", "/nowhere") else {
            Issue.record("found")
            return
        }
    }

    @Test("RouteTable: what is refused has the family of the routes nearest to it")
    func families() {
        guard case .notFound(.airweave) = table.match("GET", "/v1/sources/x/y"),
            case .notFound(.other) = table.match("GET", "/v1/x"),
            case .methodNotAllowed(_, .airweave) = table.match("GET", "/v1/sources/x/run"),
            case .ambiguousPath(.airweave) = table.match("POST", "/v1/sources/%41/run"),
            case .ambiguousPath(.aitronos) = table.match("POST", "/v1/organizations/%41/jobs")
        else {
            Issue.record("another family")
            return
        }
    }

    @Test("RouteTable: no single changed byte makes a path another operation of the same organization")
    func everyMutation() {
        let path = Array("/v1/organizations/org/jobs/job".utf8)
        for index in path.indices {
            for byte in UInt8.min...UInt8.max {
                var bytes = path
                bytes[index] = byte
                switch table.match(method: Array("DELETE".utf8).span, path: bytes.span) {
                case .route(let route, let captures):
                    #expect(route.id == "job" || route.id == "rest")
                    #expect(captures.organization?.lowerBound == 18)
                    #expect(byte < 0x80 && byte != UInt8(ascii: "%") && byte != UInt8(ascii: ";"))
                case .options, .notFound, .methodNotAllowed, .ambiguousPath: break
                }
            }
        }
    }
}
