import Gateway
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What a request gets if another operation has its connection: `onConflict` and `maxWait` of a route.
    @Suite("Conflicts that a client need not handle")
    struct ConflictRuleTests {
        private static let job =
            #"{"job_id":"job_1","connection_id":"conn_abc123","status":"running","job_type":"sync"}"#

        private func setup(_ fields: String, jobMilliseconds: Int64 = 600_000) -> GatewaySetup {
            var setup = GatewaySetup(jobMilliseconds: jobMilliseconds)
            setup.leaseFields = fields
            return setup
        }

        /// A client whose trigger waits for the running job.
        private func waitingClient(_ gateway: TestGateway) throws -> TLSClient {
            let waiting = try TLSClient(gateway)
            try waiting.send(request("POST", Path.jobs, body: trigger()))
            try waitUntil("it waits") { gateway.server.waitingRequests == 1 }
            return waiting
        }

        private func outcomes(_ gateway: TestGateway, _ outcome: String) -> Int {
            gateway.log.split(separator: "\n").count { $0.contains(#""outcome":"\#(outcome)""#) }
        }

        @Test("onConflict: attach responds with the running job of the same kind, and only that")
        func attach() async throws {
            try await withGateway(setup(#"onConflict: "attach""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let attached = try client.call("POST", Path.jobs, token: .both, body: trigger())
                #expect(attached.status == 200, "\(attached.text)")
                #expect(attached["x-gateway-outcome"] == "attached")
                #expect(attached["location"] == "\(Path.jobs)/\(job)")
                #expect(try attached.json("job_id")?.string == job)
                // A refresh is other work than a sync.
                try client.call("POST", Path.refresh, body: #"{"streams":[]}"#).expectConflict(with: job)
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 1)
                try waitUntil("the log says so") { outcomes(gateway, "attached") == 1 }
            }
        }

        @Test("onConflict: skip responds with whatever runs")
        func skip() async throws {
            try await withGateway(setup(#"onConflict: "skip""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let skipped = try client.call("POST", Path.refresh, body: #"{"streams":[]}"#)
                #expect(skipped.status == 200, "\(skipped.text)")
                #expect(skipped["x-gateway-outcome"] == "skipped")
                #expect(try skipped.json("job_id")?.string == job)
                #expect(try skipped.json("job_type")?.string == "sync")
            }
        }

        @Test("onConflict: attach waits for the job of a request that the upstream still works on")
        func attachEarly() async throws {
            try await withRawUpstream(leaseFields: #"onConflict: "attach""#) { gateway, upstream in
                let first = try TLSClient(gateway)
                try first.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                let second = try TLSClient(gateway)
                try second.send(request("POST", Path.jobs, token: .both, body: trigger()))
                try peer.send(answer(body: Self.job))
                let received = try second.answer()
                #expect(received["x-gateway-outcome"] == "attached", "\(received.text)")
                #expect(try received.json("job_id")?.string == "job_1")
                #expect(upstream.isLeftAlone)
            }
        }

        @Test("onConflict: wait begins the job when the one before has ended")
        func wait() async throws {
            try await withGateway(setup(#"onConflict: "wait", maxWait: "60s""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let waiting = try waitingClient(gateway)
                try client.cancel(job)
                let received = try waiting.answer()
                #expect(received.status == 200, "\(received.text)")
                #expect(received["x-gateway-outcome"] == "waited")
                #expect(received["preference-applied"] == nil)
                #expect(try received.json("job_id")?.string != job)
                #expect(gateway.server.waitingRequests == 0)
                try waitUntil("the log says so") { outcomes(gateway, "waited") == 1 }
            }
        }

        @Test("Prefer: wait lets a request wait, as long as the route allows; then it gets its 409")
        func prefer() async throws {
            try await withGateway(setup(#"maxWait: "1s""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let plain = try client.call("POST", Path.jobs, body: trigger())
                try plain.expectConflict(with: job)
                #expect(plain["preference-applied"] == nil)
                let late = try client.call(
                    "POST", Path.jobs, body: trigger(), prefer: "respond-async, wait=999999999999999999999999")
                try late.expectConflict(with: job)
                #expect(late["preference-applied"] == "wait=1")
                let none = try client.call("POST", Path.jobs, body: trigger(), prefer: "wait=0")
                try none.expectConflict(with: job)
                #expect(gateway.server.waitingRequests == 0)
            }
        }

        @Test("Prefer: wait is ignored where the route does not allow it")
        func ignored() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let refused = try client.call("POST", Path.jobs, body: trigger(), prefer: "wait=60")
                try refused.expectConflict(with: job)
                #expect(refused["preference-applied"] == nil)
            }
        }

        @Test("onConflict: nothing begins for a token that was removed while its request waited")
        func revoked() async throws {
            try await withGateway(setup(#"onConflict: "wait", maxWait: "60s""#)) { gateway in
                let other = try TLSClient(gateway)
                let started = try other.call("POST", Path.jobs, token: .both, body: trigger())
                let job = try #require(started.json("job_id")?.string, "\(started.text)")
                let waiting = try waitingClient(gateway)
                let file = "policies/organizations/both.json5"
                let lines = try gateway.folder.read(file).split(separator: "\n").filter { !$0.contains("full:") }
                try gateway.folder.write(lines.joined(separator: "\n"), to: file)
                await gateway.reload()
                try waitUntil("the token is refused") { try TLSClient(gateway).call("GET", Path.state).status == 401 }
                let cancelled = try other.call("DELETE", "\(Path.jobs)/\(job)", token: .both)
                #expect(cancelled.status == 204, "\(cancelled.text)")
                try waiting.answer().expectError(401, "TOKEN_INVALID")
                #expect(try other.call("GET", Path.jobs, token: .both).json("total")?.integer == 1)
                // The connection is free again, and the units are back.
                try waitUntil("the connection is free") {
                    try other.call("POST", Path.jobs, token: .both, body: trigger()).status == 200
                }
            }
        }

        @Test("onConflict: a client that leaves loses its place, and the next one gets the connection")
        func leaves() async throws {
            try await withGateway(setup(#"onConflict: "wait", maxWait: "60s""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                var first: TLSClient? = try waitingClient(gateway)
                let second = try TLSClient(gateway)
                try second.send(request("POST", Path.refresh, body: #"{"streams":[]}"#))
                try waitUntil("both wait") { gateway.server.waitingRequests == 2 }
                #expect(first != nil)
                first = nil
                try waitUntil("the place is free") { gateway.server.waitingRequests == 1 }
                try client.cancel(job)
                let received = try second.answer()
                #expect(received["x-gateway-outcome"] == "waited", "\(received.text)")
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 2)
            }
        }

        @Test("onConflict: a drain ends the wait with a 409")
        func drain() async throws {
            try await withGateway(setup(#"onConflict: "wait", maxWait: "60s""#)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let waiting = try waitingClient(gateway)
                gateway.server.failReadiness()
                try waiting.answer().expectConflict(with: job)
            }
        }
    }
}
