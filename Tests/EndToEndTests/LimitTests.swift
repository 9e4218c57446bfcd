import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Rate limits")
    struct LimitTests {
        /// Work and calls, each with its own small number.
        private static func limits(work: String, calls: String) -> GatewaySetup {
            var setup = GatewaySetup()
            setup.limits = """
                work: { on: ["trigger"], per: ["organization", "connection"], allow: \(work) },
                calls: { on: ["trigger"], per: ["organization", "token"], allow: \(calls), charge: "calls" },
                """
            return setup
        }

        @Test(
            "Rate limits: a client that leaves gets no refund once the upstream may have its request"
        )
        func leaving() async throws {
            let upstream = try RawUpstream()
            defer { upstream.stopAnswering() }
            var setup = GatewaySetup()
            setup.upstream = upstream.settings()
            setup.limits = #"reads: { on: "*", per: ["organization", "token"], allow: "2/day" },"#
            try await withGateway(setup) { gateway in
                for _ in 0..<2 {
                    var client: TLSClient? = try TLSClient(gateway)
                    try client?.send(request("GET", Path.state))
                    let (peer, _) = try upstream.acceptRequest()
                    client = nil
                    try peer.expectClose()
                }
                try TLSClient(gateway).call("GET", Path.state).expectError(429, "RATE_LIMIT_EXCEEDED")
            }
        }

        @Test("Rate limits: beyond the limit there is 429, and Retry-After is the truth")
        func retryAfter() async throws {
            try await withGateway(Self.limits(work: #""60/min", burst: 1"#, calls: #""1000/min""#)) { gateway in
                let client = try TLSClient(gateway)
                try client.waitForEnd(of: try client.startJob())
                let refused = try client.call("POST", Path.jobs, body: trigger())
                let refusedAt = ContinuousClock.now
                try refused.expectError(429, "RATE_LIMIT_EXCEEDED")
                #expect(try refused.json("error", "details", "limit")?.string == "work")
                let seconds = try #require(refused["retry-after"].flatMap(Int.init))
                #expect(seconds == 1)
                #expect(refused["x-ratelimit-remaining"] == "0")
                // Asked again and again, which costs nothing: what is refused is not charged.
                var answer = refused
                try waitUntil("the limit lets one through") {
                    answer = try client.call("POST", Path.jobs, body: trigger())
                    return answer.status != 429
                }
                #expect(answer.status == 200, "\(answer.text)")
                // Not much later than promised; the machine may be busy.
                #expect(ContinuousClock.now - refusedAt < .seconds(seconds) + .milliseconds(900))
            }
        }

        @Test(
            "Rate limits: each limit that refuses is listed, as its fields have it, and Retry-After is the longest wait"
        )
        func violated() async throws {
            var setup = GatewaySetup()
            setup.limits = """
                hourly: { on: ["trigger"], per: "token", allow: "1/h" },
                daily: { on: ["trigger"], per: "organization", allow: "3/day", burst: 1 },
                roomy: { on: ["trigger"], per: "organization", allow: "100/day" },
                """
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                try client.waitForEnd(of: try client.startJob())
                let refused = try client.call("POST", Path.jobs, body: trigger())
                try refused.expectError(429, "RATE_LIMIT_EXCEEDED")
                let policies = try refused.json("error", "details", "violated_policies")?.array ?? []
                #expect(policies.map { $0["name"]?.string } == ["daily", "hourly"])
                #expect(policies.map { $0["quota"]?.integer } == [3, 1])
                #expect(policies.map { $0["window"]?.integer } == [86_400, 3600])
                #expect(policies.map { $0["remaining"]?.integer } == [0, 0])
                let waits = policies.compactMap { $0["retry_after"]?.integer }
                #expect(refused["retry-after"] == "\(waits[0])" && waits[0] > waits[1])
                #expect(try refused.json("error", "details", "limit")?.string == "daily")
                let field = try #require(refused["ratelimit"])
                #expect(
                    field.contains(#""daily";r=0;t=\#(waits[0])"#) && field.contains(#""hourly";r=0;t=\#(waits[1])"#))
            }
        }

        @Test("Rate limits: a route that costs more takes more, and is refused while less is left")
        func cost() async throws {
            var setup = GatewaySetup()
            setup.changesRoutes = { $0.replacing(#"class: "clear","#, with: #"class: "clear", cost: 3,"#) }
            setup.limits = #"starts: { on: ["trigger", "clear"], per: "organization", allow: "4/day" },"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let answer = try client.call("POST", Path.clear, body: #"{"streams":["users"]}"#)
                #expect(answer.status == 200 && answer["x-ratelimit-remaining"] == "1", "\(answer.text)")
                let refused = try client.call("POST", Path.clear, body: #"{"streams":["users"]}"#)
                try refused.expectError(429, "RATE_LIMIT_EXCEEDED")
                let policy = try refused.json("error", "details", "violated_policies")?.array?.first
                #expect(policy?["remaining"]?.integer == 1)
                #expect(try client.call("POST", Path.jobs, body: trigger()).status != 429)
            }
        }

        @Test("Rate limits: a 409 uses up calls but no work")
        func refund() async throws {
            var setup = Self.limits(work: #""2/day""#, calls: #""6/day""#)
            setup.jobMilliseconds = GatewaySetup.longJobs.jobMilliseconds
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                for _ in 0..<4 {
                    try client.call("POST", Path.jobs, body: trigger()).expectConflict(with: job)
                }
                try client.cancel(job)
                // The second unit of work is still there after four conflicts, and with it the sixth call is made.
                let next = try client.startJob()
                try client.cancel(next)
                let last = try client.call("POST", Path.jobs, body: trigger())
                try last.expectError(429, "RATE_LIMIT_EXCEEDED")
            }
        }

        @Test("Rate limits: hammering a busy connection meets the limit on calls")
        func hammering() async throws {
            var setup = Self.limits(work: #""100/day""#, calls: #""5/day""#)
            setup.jobMilliseconds = GatewaySetup.longJobs.jobMilliseconds
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                for _ in 0..<4 { try client.call("POST", Path.jobs, body: trigger()).expectConflict(with: job) }
                let answer = try client.call("POST", Path.jobs, body: trigger())
                try answer.expectError(429, "RATE_LIMIT_EXCEEDED")
                #expect(try answer.json("error", "details", "limit")?.string == "calls")
            }
        }

        @Test("Rate limits: a request that a limit of work refuses has been a call, and no work")
        func refusedWork() async throws {
            try await withGateway(Self.limits(work: #""1/day""#, calls: #""7/day""#)) { gateway in
                let client = try TLSClient(gateway)
                let source = trigger(connection: TestConnections.sourceConnection)
                try client.waitForEnd(of: try client.startJob())
                for _ in 0..<5 {
                    let answer = try client.call("POST", Path.jobs, body: trigger())
                    try answer.expectError(429, "RATE_LIMIT_EXCEEDED")
                    #expect(try answer.json("error", "details", "limit")?.string == "work")
                }
                // One start and five refusals were six calls; another connection has work of its own left.
                #expect(try client.call("POST", Path.jobs, body: source).status == 200)
                let last = try client.call("POST", Path.jobs, body: trigger(connection: "conn_absent"))
                try last.expectError(429, "RATE_LIMIT_EXCEEDED")
                #expect(try last.json("error", "details", "limit")?.string == "calls")
            }
        }

        @Test("Rate limits: of parallel requests no more get through than the limit allows")
        func parallel() async throws {
            try await withGateway(Self.limits(work: #""100/day""#, calls: #""7/day""#)) { gateway in
                let clients = try (0..<20).map { _ in try TLSClient(gateway) }
                let bytes = Array(request("POST", Path.jobs, body: trigger(connection: "conn_absent")).utf8)
                for client in clients { try client.send(Array(bytes.dropLast())) }
                for client in clients { try client.send(Array(bytes.suffix(1))) }
                let answers = try clients.map { try $0.answer() }
                #expect(answers.count { $0.status == 404 } + answers.count { $0.status == 409 } == 7)
                #expect(answers.count { $0.status == 429 } == 13)
            }
        }

        @Test("Rate limits: organizations do not use up each other's limits")
        func organizations() async throws {
            var setup = GatewaySetup()
            setup.limits = #"starts: { on: ["trigger"], per: "organization", allow: "1/day" },"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                #expect(try client.startJob().isEmpty == false)
                try client.call("POST", Path.jobs, body: trigger()).expectError(429, "RATE_LIMIT_EXCEEDED")
                let path = Path.jobs.replacing(TestPolicies.organization, with: TestPolicies.otherOrganization)
                let body = trigger(connection: TestConnections.otherConnection)
                #expect(try client.call("POST", path, token: .other, body: body).status == 200)
            }
        }

        @Test("Rate limits: each family has its own fields, with the time of day at which the limit is whole again")
        func fields() async throws {
            var setup = GatewaySetup()
            setup.limits = #"starts: { on: ["trigger", "run"], per: "token", allow: "1/min" },"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let answer = try client.call("POST", Path.jobs, body: trigger())
                #expect(answer["x-ratelimit-limit"] == "1")
                #expect(answer["x-ratelimit-remaining"] == "0")
                #expect((answer["x-ratelimit-reset"].flatMap(Int.init) ?? 0) > 1_700_000_000)
                let run = try client.call("POST", Path.run)
                try run.expectError(429, "RATE_LIMIT_EXCEEDED", isAirweave: true)
                #expect(run["ratelimit-limit"] == "1")
                #expect((run["ratelimit-reset"].flatMap(Int.init) ?? 0) > 1_700_000_000)
            }
        }
    }
}
