import Policy
import Testing

@Suite("Paths of jobs")
struct PathTemplateTests {
    private func routes(_ routes: String) throws -> RouteTable {
        try policySet("{ scopes: { s: {} }, routes: { \(routes) } }").routes
    }

    @Test("PathTemplate: the path of the route that shows them is filled in")
    func filling() throws {
        let table = try routes(
            """
            job: { match: ["POST /x/{organization}/{job}", "GET,HEAD /v1/{organization}/jobs/{job}", "GET /{organization}/j/{job}"],
                   scope: "s", jobStatus: "job" },
            jobs: { match: "* /v1/{organization}/c/{connection}/jobs", scope: "s", jobStatus: "jobs", family: "airweave" },
            root: { match: "GET /", scope: "s", jobStatus: "jobs", family: "other" },
            """)
        let job = try #require(table.path(showing: .job, family: .aitronos, near: ""))
        #expect(job.hasOrganization && !job.hasConnection && job.hasJob)
        #expect(job.path(organization: "org_a", job: "job_1") == "/v1/org_a/jobs/job_1")
        #expect(job.path(organization: "org_a", connection: "c", job: "a:b") == "/v1/org_a/jobs/a:b")
        #expect(job.path(organization: "org_a") == nil)
        let jobs = try #require(table.path(showing: .jobs, family: .airweave, near: ""))
        #expect(jobs.hasOrganization && jobs.hasConnection && !jobs.hasJob)
        #expect(jobs.path(organization: "o", connection: "550e8400") == "/v1/o/c/550e8400/jobs")
        #expect(table.path(showing: .jobs, family: .other, near: "")?.path() == "/")
        #expect(table.path(showing: .jobs, family: .aitronos, near: "") == nil)
        #expect(table.path(showing: .job, family: .airweave, near: "") == nil)
    }

    @Test("PathTemplate: of several patterns the one that begins like the request's path is used, otherwise the first")
    func nearest() throws {
        let table = try routes(
            """
            jobs: { match: ["GET /v1/c/{connection}/jobs", "GET /c/{connection}/jobs", "GET /v1/beta/c/{connection}/jobs"],
                    scope: "s", jobStatus: "jobs", family: "airweave" },
            """)
        func path(_ start: String) -> String? {
            table.path(showing: .jobs, family: .airweave, near: start)?.path(connection: "x")
        }
        #expect(path("/c/") == "/c/x/jobs" && path("/v1/c/") == "/v1/c/x/jobs")
        #expect(path("/v1/beta/c/") == "/v1/beta/c/x/jobs")
        for start in ["", "/", "/other/", "/v1", "/v1/cc/"] {
            #expect(path(start) == "/v1/c/x/jobs", "\(start)")
        }
    }

    @Test(
        "PathTemplate: a text that would change the path fills no variable",
        arguments: ["", ".", "..", "a/b", "a%2Fb", "a?b", "a#b", "a b", "a\r\nb", "a;b", "\u{e9}", "\0", "a\\b"])
    func hostile(text: String) throws {
        let table = try routes("job: { match: \"GET /jobs/{job}\", scope: \"s\", jobStatus: \"job\" }")
        let template = try #require(table.path(showing: .job, family: .aitronos, near: ""))
        #expect(template.path(job: text) == nil)
        #expect(template.path(job: "...") == "/jobs/...")
    }

    @Test(
        "PathTemplate: of several routes the one that names the most is used, then the first by id; those that cannot be filled in do not count"
    )
    func choice() throws {
        let table = try routes(
            """
            a: { match: "GET /a", scope: "s", jobStatus: "jobs" },
            b: { match: "GET /b/{organization}/{connection}/**", scope: "s", jobStatus: "jobs" },
            c: { match: "GET /c/{organization}/{connection}/*", scope: "s", jobStatus: "jobs" },
            e: { match: "GET /e/{connection}", scope: "s", jobStatus: "jobs" },
            d: { match: "GET /d/{organization}", scope: "s", jobStatus: "jobs" },
            """)
        #expect(table.path(showing: .jobs, family: .aitronos, near: "")?.path(organization: "o") == "/d/o")
    }

    @Test("PathTemplate: a route has its configured deadlines and job status")
    func fields() throws {
        let table = try routes(
            """
            a: { match: "GET /a", scope: "s", jobStatus: "job", timeouts: { responseHead: "10min" } },
            b: { match: "POST /b", scope: "s", timeouts: { connect: "5s", bodyProgress: "60s", total: "6h" } },
            c: { match: "GET /c", scope: "s" },
            """)
        #expect(table.routes.map(\.jobStatus) == [.job, nil, nil])
        #expect(
            table.routes.map(\.timeouts) == [
                .init(responseHead: .seconds(600)),
                .init(connect: .seconds(5), bodyProgress: .seconds(60), total: .seconds(21_600)), .init(),
            ])
    }
}
