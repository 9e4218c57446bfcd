import Foundation
import HTTP
import JSON
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("HTTP1Head: the bytes of a response")
struct HTTP1HeadTests {
    private let heads = ResponseHeads(clock: .system)

    init() { heads.tick(epochSeconds: 1_700_000_000) }

    /// Name of a field in lower case, and its value; the names whose values are the same in every answer are left out.
    private func parse(_ bytes: [UInt8]) throws -> (status: Int, fields: [String: String], body: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let end = try #require(text.range(of: "\r\n\r\n"))
        let head = String(text[..<end.lowerBound])
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines.removeFirst().split(separator: " ", maxSplits: 2)
        #expect(words[0] == "HTTP/1.1")
        #expect(words.count == 3 && !words[2].isEmpty, "a status has its reason")
        var fields: [String: String] = [:]
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            let name = parts[0].lowercased()
            #expect(fields[name] == nil, "\(name) is there twice")
            fields[name] = String(parts[1].dropFirst())
        }
        return (Int(words[1]) ?? 0, fields, Array(bytes[(head.utf8.count + 4)...]))
    }

    private func check(_ rejection: Rejection, family: RouteFamily) throws {
        let policies = try TestPipeline.compiledPolicies()
        let trace = TraceContext.fresh()
        var exchange = Exchange(trace: trace, policies: policies, startedAt: .now())
        exchange.family = family
        let expected = ErrorResponse(rejection)
        let response = expected.rendered(for: exchange, .system)
        var bytes: [UInt8] = []
        HTTP1Head.append(
            response, for: exchange, response.closesConnection ? .close : .implied, heads, to: &bytes)
        let (status, fields, body) = try parse(bytes + response.body)

        #expect(status == expected.status)
        #expect(!body.isEmpty, "clients take an error without a body for success")
        let json = try JSONValue.read(body.span)
        #expect(json["success"]?.bool == false)
        #expect(json["error"]?["code"]?.string == expected.code)
        #expect(json["error"]?["status"]?.integer == Int64(expected.status))
        #expect(json["error"]?["trace_id"]?.string == trace.traceID.text)
        #expect(json["detail"]?.string == (family == .airweave ? expected.message : nil))

        var wanted: [String: String] = [
            "content-type": "application/json", "content-length": "\(body.count)", "x-trace-id": trace.traceID.text,
            "x-policy-version": policies.shortVersion,
        ]
        wanted["retry-after"] = expected.retryAfterSeconds.map { "\($0)" }
        wanted["allow"] = expected.allow
        wanted["location"] = expected.location
        wanted["link"] = expected.location.map { "<\($0)>; rel=\"monitor\"" }
        if let cap = expected.jobCap {
            wanted["ratelimit-policy"] = #""\#(cap.name)";q=\#(cap.max);qu="concurrent-requests""#
            wanted["ratelimit"] = #""\#(cap.name)";r=0;t=\#(expected.retryAfterSeconds ?? 0)"#
        }
        wanted["proxy-status"] = expected.proxyError.map { "connector-gateway;error=\($0)" }
        wanted["connection"] = expected.closesConnection ? "close" : nil
        if let challenge = expected.authenticate {
            var value: [UInt8] = []
            challenge.append(realm: "connectors", to: &value)
            wanted["www-authenticate"] = String(decoding: value, as: UTF8.self)
        }
        #expect(fields.removing("date") == wanted)
        #expect(fields["date"]?.hasSuffix(" GMT") == true)
    }

    @Test("HTTP1Head: every failure is a complete response in each family", arguments: 0..<FailureTests.rows.count)
    func failures(index: Int) throws {
        for family in [RouteFamily.aitronos, .airweave, .other] {
            try check(.failure(Failure(FailureTests.rows[index].0, at: .read)), family: family)
        }
    }

    @Test(
        "HTTP1Head: every refusal is a complete response in each family", arguments: 0..<FailureTests.refusalRows.count)
    func refusals(index: Int) throws {
        let (refusal, field, _, _, _) = FailureTests.refusalRows[index]
        for family in [RouteFamily.aitronos, .airweave, .other] {
            try check(.refusal(refusal, credential: field), family: family)
        }
    }

    @Test("HTTP1Head: the layer at fault is named, unless it is the client", arguments: 0..<FailureTests.rows.count)
    func blame(index: Int) {
        let failure = Failure(FailureTests.rows[index].0, at: .read)
        #expect((ErrorResponse(.failure(failure)).proxyError == nil) == (failure.origin == .client))
    }

    @Test("HTTP1Head: an upstream's own rate limit fields replace the gateway's")
    func limits() throws {
        let rule = LimitRule(name: "a", index: 0, per: .organization, count: 5, periodSeconds: 1, burst: 1)
        let policies = WorkerPolicies(
            try TestPipeline.policies(""), limitTexts: RateLimitTexts([rule]),
            counts: Metrics(workerCount: 1)[worker: 0])
        var exchange = Exchange(trace: TraceContext.fresh(), policies: policies, startedAt: .now())
        exchange.family = .airweave
        exchange.limits = [rule]
        exchange.batch.append(
            RateLimit(
                key: BucketKey(high: 1, low: 1), count: 5, period: 1_000_000_000, burst: 1, isEnforced: true,
                isRefundable: false, tag: 0))
        #expect(RateLimiter().take(&exchange.batch, now: 1))
        for (name, brings) in [("X-Request-Id", false), ("ratelimit-limit", true), ("X-RateLimit-Reset", true)] {
            var bytes: [UInt8] = []
            let response = Response(status: 200, fields: [(name: name, value: "7")], body: Array("{}".utf8))
            HTTP1Head.append(response, for: exchange, .implied, heads, to: &bytes)
            let (_, fields, _) = try parse(bytes)
            #expect(fields[name.lowercased()] == "7")
            let standing = fields.keys.filter { $0.contains("ratelimit") }
            #expect(standing.count == (brings ? 1 : 8), "\(name): \(standing)")
        }
    }

    @Test("HTTP1Head: plain HTTP gets a response in plain HTTP")
    func plainText() throws {
        let (status, fields, body) = try parse(try TestPipeline.idleWorker().pipeline.responseToPlainText())
        #expect(status == 400)
        #expect(fields["connection"] == "close")
        #expect(try JSONValue.read(body.span)["error"]?["code"]?.string == "TLS_REQUIRED")
    }
}

extension [String: String] {
    fileprivate func removing(_ name: String) -> [String: String] { filter { $0.key != name } }
}
