import JSON
import Testing

@testable import Gateway
@testable import Transport

@Suite("Normalizing a response")
struct NormalizeStageTests {
    private static let run = "/v1/source-connections/conn_1/run"

    @Test("NormalizeStage: a success passes byte by byte, with its type and fields", arguments: [200, 201, 202, 206])
    func success(status: Int) throws {
        let pipeline = try TestPipeline()
        let body = Array("a,b\r\n\u{0}\u{1}".utf8) + [0xFF, 0xFE]
        pipeline.upstream.answers { _ in
            UpstreamResponse(
                status: status, fields: [(name: "ETag", value: "\"x\"")], contentType: "text/csv", body: body)
        }
        let answer = try PlainClient(pipeline).call("GET", PlainClient.jobs)
        #expect(answer.status == status)
        #expect(answer.body == body)
        #expect(answer.fields("content-type") == ["text/csv"])
        #expect(answer.fields("etag") == ["\"x\""])
    }

    @Test(
        "NormalizeStage: it is the stage that ends a request which the upstream answers with an error",
        arguments: [(status: 200, stage: Stage.record), (404, .normalize), (429, .normalize), (503, .normalize)])
    func endingStage(status: Int, stage: Stage) throws {
        let limits = LimitStage(
            limiter: RateLimiter(), failures: FailedAuthentications(), counts: Metrics(workerCount: 1)[worker: 0])
        let normalizer = NormalizeStage(
            limits: limits, showsOriginalError: false, secrets: [], clock: .fixed(milliseconds: 0))
        var exchange = Exchange(
            trace: .fresh(), policies: try TestPipeline.compiledPolicies(), startedAt: Instant(nanoseconds: 0))
        _ = normalizer.normalize(
            UpstreamResponse(status: status, body: []), concluding: nil, &exchange, now: Instant(nanoseconds: 0))
        #expect(exchange.endingStage == stage)
    }

    @Test(
        "NormalizeStage: a refusal by the upstream gives the work back, a time-out does not",
        arguments: [
            (status: 404, isGivenBack: true), (408, false), (422, true), (460, false), (499, false), (500, false),
        ])
    func refunds(status: Int, isGivenBack: Bool) throws {
        let pipeline = try TestPipeline(
            policy: #"limits: { all: { on: "*", per: "token", allow: "1/d", charge: "work" } },"#)
        pipeline.upstream.answers(status, "{}")
        let client = try PlainClient(pipeline)
        let first = try client.call("POST", PlainClient.jobs, body: #"{"connection_id":"conn_1"}"#)
        #expect(first.status != 429)
        let second = try client.call("POST", PlainClient.jobs, body: #"{"connection_id":"conn_2"}"#)
        #expect((second.status == 429) == !isGivenBack, "\(second.status)")
    }

    @Test(
        "NormalizeStage: a body larger than a TLS record passes unchanged",
        arguments: [15_999, 16_000, 16_001, 300_000])
    func large(count: Int) throws {
        let pipeline = try TestPipeline()
        let text = "[" + String(repeating: " ", count: count - 2) + "]"
        pipeline.upstream.answers(200, text)
        let client = try PlainClient(pipeline)
        for _ in 0..<2 {
            #expect(try client.call("GET", PlainClient.jobs).text == text)
            let head = try client.call("GET", PlainClient.jobs + "/absent")
            #expect(head.status == 200)
        }
    }

    @Test("NormalizeStage: a 204 has neither body nor length")
    func noContent() throws {
        let pipeline = try TestPipeline()
        pipeline.upstream.answers(204, "")
        let client = try PlainClient(pipeline)
        for _ in 0..<2 {
            let answer = try client.call("DELETE", PlainClient.jobs + "/job_1")
            #expect(answer.status == 204 && answer.body.isEmpty)
            #expect(answer.fields("content-length") == [] && answer.fields("content-type") == [])
        }
    }

    static let rows: [(status: Int, type: String, body: String, code: String, message: String)] = [
        (500, "text/html", "<html><body>Oops</body></html>", "UPSTREAM_ERROR", "The connector service failed."),
        (502, "text/html", "<h1>Bad Gateway</h1>", "BAD_GATEWAY", ErrorCode.badGateway.entry.message),
        (404, "text/plain", "nothing here", "NOT_FOUND", ErrorCode.notFound.entry.message),
        (404, "application/json", "", "NOT_FOUND", ErrorCode.notFound.entry.message),
        (404, "application/json", #"{"detail":"Not there"}"#, "NOT_FOUND", "Not there"),
        (
            400, "application/json",
            #"{"error":{"code":"CONNECTOR_JOB_RETRY_FAILED","message":"Failed to retry the job."}}"#,
            "CONNECTOR_JOB_RETRY_FAILED", "Failed to retry the job."
        ),
        (
            422, "application/json", #"{"detail":[{"loc":["body","x"],"msg":"field required","type":"missing"}]}"#,
            "VALIDATION_ERROR", "body.x: field required"
        ),
    ]

    @Test(
        "NormalizeStage: every error becomes the envelope, in the Airweave family with detail",
        arguments: 0..<rows.count)
    func errors(index: Int) throws {
        let row = Self.rows[index]
        for (method, path, isAirweave) in [
            ("GET", PlainClient.jobs, false), ("POST", Self.run, true),
            ("GET", "/source-connections/conn_1/jobs", true),
        ] {
            let pipeline = try TestPipeline()
            pipeline.upstream.answers(row.status, row.body, contentType: row.type)
            let client = try PlainClient(pipeline)
            let answer = try client.call(method, path)
            #expect(answer.status == row.status)
            #expect(answer.fields("content-type") == ["application/json"])
            #expect(answer.code == row.code)
            #expect(answer.error?["message"]?.string == row.message)
            #expect(answer.error?["trace_id"]?.string == answer.fields("x-trace-id").first)
            let detail = try JSONValue.read(answer.body.span)["detail"]
            #expect(detail?.string == (isAirweave ? row.message : nil))
            #expect(answer.fields("connection") == [], "the client's connection goes on")
            #expect(try client.call("GET", "/").status == 204)
        }
    }

    @Test("NormalizeStage: an upstream's Retry-After reaches the client once")
    func retryAfter() throws {
        let pipeline = try TestPipeline()
        pipeline.upstream.answers { _ in
            UpstreamResponse(status: 429, fields: [(name: "Retry-After", value: "17")], body: Array("slow".utf8))
        }
        let answer = try PlainClient(pipeline).call("GET", PlainClient.jobs)
        #expect(answer.status == 429 && answer.code == "RATE_LIMIT_EXCEEDED")
        #expect(answer.fields("retry-after") == ["17"])
    }

    @Test("NormalizeStage: fields that are still true reach the client once, and no internal proxy is named")
    func fields() throws {
        let pipeline = try TestPipeline()
        pipeline.upstream.answers { _ in
            UpstreamResponse(
                status: 503,
                fields: [
                    ("Proxy-Status", "inner;error=connection_refused"), ("Content-Encoding", "gzip"), ("ETag", "x"),
                    ("X-Request-Id", "r-1"), ("Date", "today"), ("X-Trace-Id", "theirs"),
                ],
                contentType: "text/html", body: Array("<h1>".utf8))
        }
        let answer = try PlainClient(pipeline).call("GET", PlainClient.jobs)
        #expect(answer.status == 503 && answer.code == "SERVICE_UNAVAILABLE")
        #expect(answer.fields("proxy-status") == ["connector-gateway;received-status=503"])
        #expect(answer.fields("x-request-id") == ["r-1"])
        #expect(answer.fields("retry-after") == ["2"])
        for name in ["content-encoding", "etag"] { #expect(answer.fields(name) == []) }
        #expect(answer.fields("date").count == 1 && answer.fields("date") != ["today"])
        #expect(answer.fields("x-trace-id") == [answer.error?["trace_id"]?.string])
    }

    @Test("NormalizeStage: the upstream's rate limit fields replace the gateway's")
    func limits() throws {
        let pipeline = try TestPipeline(
            policy: #"limits: { all: { on: "*", per: "token", allow: "1000/s" } },"#)
        let reset = WallClock.system.milliseconds / 1000 + 20
        pipeline.upstream.answers { _ in
            UpstreamResponse(
                status: 429,
                fields: [
                    ("RateLimit-Limit", "10"), ("RateLimit-Remaining", "0"), ("RateLimit-Reset", "\(reset)"),
                ], body: Array(#"{"detail":"Rate limit exceeded."}"#.utf8))
        }
        let client = try PlainClient(pipeline)
        let answer = try client.call("POST", Self.run)
        #expect(answer.status == 429 && answer.code == "RATE_LIMIT_EXCEEDED")
        #expect(answer.fields("ratelimit-reset") == ["\(reset)"])
        #expect(answer.fields("x-ratelimit-reset") == [] && answer.fields("ratelimit") == [])
        let wait = answer.fields("retry-after").first.flatMap(Int.init) ?? 0
        #expect((1...20).contains(wait), "an instant, not a span")
        pipeline.upstream.answers(200)
        #expect(try client.call("GET", PlainClient.jobs).fields("x-ratelimit-limit") == ["1000"])
    }

    @Test("NormalizeStage: Proxy-Status names the failure, and no upstream host")
    func failures() throws {
        let pipeline = try TestPipeline()
        pipeline.upstream.fails(.connectionRefused)
        let client = try PlainClient(pipeline)
        let answer = try client.call("GET", PlainClient.jobs)
        #expect(answer.status == 502)
        #expect(answer.fields("proxy-status") == ["connector-gateway;error=connection_refused"])
        #expect(try client.call("GET", "/nowhere").fields("proxy-status") == [], "the client's own mistake")
    }

    @Test("NormalizeStage: the upstream gets the trace")
    func trace() throws {
        let pipeline = try TestPipeline()
        let id = "4bf92f3577b34da6a3ce929d0e0e4736"
        let answer = try PlainClient(pipeline).call(
            "GET", PlainClient.jobs,
            ["Authorization: Bearer token-a", "traceparent: 00-\(id)-00f067aa0ba902b7-01"])
        #expect(answer.fields("x-trace-id") == [id])
        #expect(pipeline.upstream.requests.map(\.trace.traceID.text) == [id])
    }
}
