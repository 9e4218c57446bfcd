import Gateway
import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// An upstream that says "already running" although the connection is free here.
    @Suite("Upstream that lags behind")
    struct UpstreamLagTests {
        private static let busy = #"{"detail":"already running"}"#

        private static func job(_ id: String, _ status: String) -> String {
            #"{"job_id":"\#(id)","connection_id":"conn_abc123","status":"\#(status)","job_type":"sync"}"#
        }

        /// What the upstream responds, one for each POST; the last one again and again.
        private final class Script: Sendable {
            let triggers: Mutex<[String]>
            let jobs = Mutex("")

            init(_ triggers: [String]) { self.triggers = Mutex(triggers) }

            func answer(_ request: RawRequest) -> String? {
                if request.method == "POST" {
                    return triggers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
                }
                let jobs = jobs.withLock { $0 }
                // A path with a job shows that job; the list has a query.
                if request.target.contains("/jobs/") { return EndToEndTests.answer(body: jobs) }
                return EndToEndTests.answer(body: #"{"data":[\#(jobs)],"total":\#(jobs.isEmpty ? 0 : 1)}"#)
            }
        }

        private func posts(_ upstream: RawUpstream) -> Int { upstream.answered.count { $0.method == "POST" } }

        @Test("Lag: a job that the gateway did not know is adopted, and the conflict shows it")
        func adopted() async throws {
            let script = Script([answer(409, body: Self.busy)])
            script.jobs.withLock { $0 = Self.job("job_9", "running") }
            try await withRawUpstream(hasResendWindow: true) { gateway, upstream in
                upstream.answer(script.answer)
                let client = try TLSClient(gateway)
                let refused = try client.call("POST", Path.jobs, body: trigger())
                try refused.expectConflict(with: "job_9")
                #expect(try refused.json("error", "details", "active_job", "token")?.string == nil)
                // The lease is that of the job, so nothing is sent upstream; it is not the job of the same request sent again.
                try client.call("POST", Path.jobs, body: trigger()).expectConflict(with: "job_9")
                #expect(posts(upstream) == 1)
                try waitUntil("the log says so") { gateway.log.contains(#""upstream_lag":"adopted""#) }
                script.jobs.withLock { $0 = Self.job("job_9", "succeeded") }
                script.triggers.withLock { $0 = [answer(body: Self.job("job_10", "running"))] }
                try waitUntil("the end is noticed") {
                    (try? client.call("POST", Path.jobs, body: trigger()).status) == 200
                }
            }
        }

        @Test("Lag: right after an end the request is sent again until the upstream has noticed it")
        func retried() async throws {
            let script = Script([
                answer(body: Self.job("job_1", "running")), answer(409, body: Self.busy), answer(409, body: Self.busy),
                answer(body: Self.job("job_2", "running")),
            ])
            script.jobs.withLock { $0 = Self.job("job_1", "running") }
            try await withRawUpstream { gateway, upstream in
                upstream.answer(script.answer)
                let client = try TLSClient(gateway)
                #expect(try client.startJob() == "job_1")
                script.jobs.withLock { $0 = Self.job("job_1", "succeeded") }
                // The response that passes shows the end.
                #expect(try client.call("GET", "\(Path.jobs)/job_1").json("status")?.string == "succeeded")
                let next = try client.call("POST", Path.jobs, body: trigger())
                #expect(next.status == 200, "\(next.text)")
                #expect(try next.json("job_id")?.string == "job_2")
                #expect(posts(upstream) == 4)
                try waitUntil("the log says so") { gateway.log.contains(#""upstream_lag":"retried""#) }
            }
        }

        @Test(
            "Lag: a client that leaves in the meantime leaves a free connection, because the upstream refused its request"
        )
        func leaves() async throws {
            let script = Script([
                answer(body: Self.job("job_1", "running")), answer(409, body: Self.busy),
                answer(body: Self.job("job_2", "running")),
            ])
            script.jobs.withLock { $0 = Self.job("job_1", "running") }
            try await withRawUpstream { gateway, upstream in
                upstream.answer(script.answer)
                let client = try TLSClient(gateway)
                #expect(try client.startJob() == "job_1")
                script.jobs.withLock { $0 = Self.job("job_1", "succeeded") }
                #expect(try client.call("GET", "\(Path.jobs)/job_1").json("status")?.string == "succeeded")
                do {
                    let leaving = try TLSClient(gateway)
                    try leaving.send(request("POST", Path.jobs, body: trigger()))
                    try waitUntil("the upstream has refused it") { posts(upstream) == 2 }
                }
                try waitUntil("the gateway has noticed") { gateway.log.contains(#""status":499"#) }
                #expect(try client.startJob() == "job_2")
            }
        }

        @Test("Lag: without an end before, or a job that runs, the 409 is the upstream's own")
        func own() async throws {
            let script = Script([answer(409, body: Self.busy)])
            try await withRawUpstream { gateway, upstream in
                upstream.answer(script.answer)
                let client = try TLSClient(gateway)
                let refused = try client.call("POST", Path.jobs, body: trigger())
                try refused.expectError(409, "CONFLICT")
                #expect(posts(upstream) == 1)
                // The connection is free.
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 409)
                #expect(posts(upstream) == 2)
                #expect(!gateway.log.contains("upstream_lag"))
            }
        }

        @Test("Lag: if the upstream does not say what runs, the 409 is its own")
        func silent() async throws {
            try await withRawUpstream { gateway, upstream in
                upstream.answer { request in
                    request.method == "POST"
                        ? EndToEndTests.answer(409, body: Self.busy) : EndToEndTests.answer(500, body: "{}")
                }
                try TLSClient(gateway).call("POST", Path.jobs, body: trigger()).expectError(409, "CONFLICT")
            }
        }
    }
}
