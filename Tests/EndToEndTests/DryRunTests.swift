import Gateway
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `Prefer: handling=dry-run`: what would happen.
    @Suite("Dry run")
    struct DryRunTests {
        private static let dryRun = "handling=dry-run"

        @Test("Dry run: on a free connection it says so, and forwards, charges and takes nothing")
        func free() async throws {
            var setup = GatewaySetup.longJobs
            setup.limits = #"""
                "starts": { on: ["trigger", "refresh", "clear", "retry", "run"], per: "organization", allow: "1/day" },
                "calls": { on: "*", per: "token", allow: "4/day", charge: "calls" },
                """#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<10 {
                    let answer = try client.call("POST", Path.jobs, body: trigger(), prefer: Self.dryRun)
                    #expect(answer.status == 200, "\(answer.text)")
                    #expect(answer["x-gateway-outcome"] == "dry-run")
                    #expect(answer["preference-applied"] == Self.dryRun)
                    #expect(try answer.json("dry_run")?.bool == true)
                    #expect(try answer.json("result")?.string == "forwarded")
                    #expect(try answer.json("operation")?.string == "jobs.trigger")
                    #expect(try answer.json("connection_id")?.string == "conn_abc123")
                    #expect(try answer.json("lease", "state")?.string == "free")
                    let limits = try #require(try answer.json("limits")?.array)
                    #expect(limits.compactMap { $0["remaining"]?.integer }.sorted() == [1, 4])
                    #expect(limits.allSatisfy { $0["refuses"]?.bool == false })
                }
                let list = try client.call("GET", Path.jobs)
                #expect(try list.json("total")?.integer == 0)
                let job = try client.startJob()
                let busy = try client.call("POST", Path.refresh, body: #"{"streams":[]}"#, prefer: Self.dryRun)
                #expect(try busy.json("result")?.string == "conflict", "\(busy.text)")
                #expect(try busy.json("lease", "state")?.string == "held")
                #expect(try busy.json("lease", "active_job", "id")?.string == job)
                #expect(try busy.json("limits")?.array?.contains { $0["refuses"]?.bool == true } == true)
                try waitUntil("the log says so") { gateway.log.contains(#""outcome":"dry-run""#) }
            }
        }

        @Test("Dry run: a limit that would refuse is the result if the connection is free")
        func limited() async throws {
            var setup = GatewaySetup()
            setup.limits = #"""
                "starts": { on: ["trigger", "refresh", "clear", "retry", "run"], per: "organization", allow: "1/day" },
                "calls": { on: "*", per: "token", allow: "1000/day", charge: "calls" },
                """#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                try client.waitForEnd(of: try client.startJob())
                let answer = try client.call("POST", Path.jobs, body: trigger(), prefer: Self.dryRun)
                #expect(try answer.json("result")?.string == "rate_limited", "\(answer.text)")
            }
        }

        @Test("Dry run: a request that would be refused otherwise is refused, and a read is just a read")
        func refused() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let reader = try client.call("POST", Path.jobs, token: .reader, body: trigger(), prefer: Self.dryRun)
                try reader.expectError(403, "INSUFFICIENT_PERMISSIONS")
                try client.call("POST", Path.jobs, body: "{", prefer: Self.dryRun).expectError(400, "INVALID_JSON")
                let read = try client.call("GET", Path.jobs, prefer: Self.dryRun)
                #expect(try read.json("total")?.integer == 0)
                #expect(read["x-gateway-outcome"] == nil)
                let job = try client.startJob()
                // Without a lease, too: the job goes on.
                let cancel = try client.call("DELETE", "\(Path.jobs)/\(job)", prefer: Self.dryRun)
                #expect(try cancel.json("result")?.string == "forwarded")
                #expect(try cancel.json("lease") == nil)
                #expect(
                    ["pending", "running"].contains(
                        try client.call("GET", "\(Path.jobs)/\(job)").json("status")?.string))
            }
        }

        @Test("Dry run: nothing reaches a remote upstream")
        func remote() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                let answer = try client.call("POST", Path.jobs, body: trigger(), prefer: Self.dryRun)
                #expect(try answer.json("result")?.string == "forwarded", "\(answer.text)")
                let next = try client.call("POST", Path.jobs, body: trigger(), prefer: Self.dryRun)
                #expect(next.status == 200)
                // Not even to ask for the connection of a job.
                let retry = try client.call("POST", Path.jobs + "/job_1/retry", prefer: Self.dryRun)
                #expect(try retry.json("result")?.string == "forwarded", "\(retry.text)")
                #expect(try retry.json("connection_id")?.string == nil)
                #expect(upstream.isIdle)
            }
        }
    }
}
