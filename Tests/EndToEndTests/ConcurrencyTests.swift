import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("One running job per connection")
    struct ConcurrencyTests {
        @Test("Job concurrency: a second trigger gets 409 with the running job until that job has ended")
        func secondTrigger() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let refused = try gateway.curl("POST", Path.jobs, json: trigger())
                try refused.expectConflict(with: job)
                // The location leads to the job.
                #expect(try gateway.curl(refused["location"] ?? "").json("job_id")?.string == job)
                try client.cancel(job)
                let next = try gateway.curl("POST", Path.jobs, json: trigger())
                #expect(next.status == 200, "\(next.text)")
                #expect(try next.json("job_id")?.string != job)
            }
        }

        @Test("Job concurrency: a job that ends by itself frees its connection")
        func endByItself() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<5 { try client.waitForEnd(of: try client.startJob()) }
            }
        }

        @Test("Job concurrency: of forty triggers at the same moment exactly one gets 200")
        func parallel() async throws {
            try await withGateway(.longJobs) { gateway in
                let clients = try (0..<40).map { _ in try TLSClient(gateway) }
                let bytes = Array(request("POST", Path.jobs, body: trigger()).utf8)
                // All but the last byte first, so that the requests become complete together.
                for client in clients { try client.send(Array(bytes.dropLast())) }
                for client in clients { try client.send(Array(bytes.suffix(1))) }
                let answers = try clients.map { try $0.answer() }
                #expect(answers.count { $0.status == 200 } == 1)
                #expect(answers.count { $0.status == 409 } == 39)
                for answer in answers where answer.status == 409 {
                    try answer.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                }
                #expect(try clients[0].call("GET", Path.jobs).json("total")?.integer == 1)
            }
        }

        @Test("Job concurrency: the same with curl, whose forty transfers run side by side")
        func parallelCurl() async throws {
            try await withGateway(.longJobs) { gateway in
                let urls = (0..<40).flatMap { _ in
                    ["-o", "/dev/null", "https://localhost:\(gateway.port)\(Path.jobs)"]
                }
                let outcome = try Tool.run(
                    "curl",
                    [
                        "-sS", "-m", "30", "--parallel", "--parallel-immediate", "--parallel-max", "40", "--cacert",
                        gateway.folder.authorityFile, "-H", "Authorization: Bearer \(TestPolicies.Token.full.text)",
                        "-H", "Content-Type: application/json", "-d", trigger(), "-w", "%{http_code}\\n",
                    ] + urls)
                let statuses = outcome.text.split(separator: "\n")
                #expect(statuses.count { $0 == "200" } == 1, "\(outcome.complaints)")
                #expect(statuses.count { $0 == "409" } == 39)
            }
        }

        @Test("Job concurrency: a cap of running jobs refuses the next one, and shows what runs")
        func cap() async throws {
            var setup = GatewaySetup.longJobs
            setup.jobCaps = #""jobs-per-token": { per: "token", max: 1 }"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let other = trigger(connection: TestConnections.sourceConnection)
                let dryRun = try client.call("POST", Path.jobs, body: other, prefer: "handling=dry-run")
                #expect(try dryRun.json("result")?.string == "job_limit", "\(dryRun.text)")
                let refused = try client.call("POST", Path.jobs, body: other)
                try refused.expectError(429, "ORGANIZATION_JOB_LIMIT")
                #expect(refused["ratelimit-policy"] == #""jobs-per-token";q=1;qu="concurrent-requests""#)
                #expect(refused["ratelimit"]?.hasPrefix(#""jobs-per-token";r=0;t="#) == true)
                let running = try refused.json("error", "details", "active_jobs")?.array
                #expect(running?.compactMap { $0["id"]?.string } == [job], "\(refused.text)")
                #expect(running?.first?["connection_id"]?.string == TestConnections.connection)
                #expect(try refused.json("error", "details", "max")?.integer == 1)
                // Another token has a job of its own.
                let second = try client.call("POST", Path.jobs, token: .both, body: other)
                #expect(second.status == 200, "\(second.text)")
                try client.cancel(job)
                _ = try client.startJob()
            }
        }

        @Test("Job concurrency: all operations that start work exclude each other", arguments: Operation.starts)
        func matrix(first: Operation) async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let started = try client.call(first)
                #expect(started.status == 200, "\(started.text)")
                let list = try client.call("GET", Path.jobs).json("data")?.array
                let job = try #require(list?.first?["job_id"]?.string)
                for second in Operation.starts { try client.call(second).expectConflict(with: job) }
                let update = try client.call(.state)
                try update.expectError(409, "CONNECTOR_STATE_LOCKED")
                #expect(try update.json("error", "details", "active_job", "id")?.string == job)
                // What only reads is never held up, and another connection is not concerned.
                #expect(try client.call("GET", Path.state).status == 200)
                #expect(try client.call("POST", Path.run).status == 200)
                try client.cancel(job)
                #expect(try client.call(.state).status == 200)
            }
        }

        @Test("Job concurrency: a run is held like a trigger, however its connection is spelled")
        func run() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let id = try #require(try client.call("POST", Path.run).json("id")?.string)
                let upper = TestConnections.sourceConnection.uppercased()
                for path in [Path.run, String(Path.run.dropFirst(3)), "/v1/source-connections/\(upper)/run"] {
                    try client.call("POST", path).expectConflict(with: id, isAirweave: true)
                }
                for connection in [TestConnections.sourceConnection, upper] {
                    try client.call("POST", Path.jobs, body: trigger(connection: connection))
                        .expectConflict(with: id)
                }
            }
        }

        @Test("Job concurrency: a retry is held like a trigger, by the connection of its job")
        func retry() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let first = try client.startJob()
                try client.cancel(first)
                let retried = try client.call("POST", "\(Path.jobs)/\(first)/retry")
                #expect(retried.status == 200, "\(retried.text)")
                let job = try #require(try retried.json("job_id")?.string)
                try client.call("POST", "\(Path.jobs)/\(first)/retry").expectConflict(with: job)
                try client.call("POST", Path.jobs, body: trigger()).expectConflict(with: job)
                try client.call("POST", "\(Path.jobs)/job_absent/retry").expectError(404, "CONNECTOR_JOB_NOT_FOUND")
            }
        }

        @Test("Job concurrency: a trigger that the service refuses leaves no lease")
        func refusedTrigger() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<3 {
                    try client.call("POST", Path.refresh, body: #"{"streams":["nothing"]}"#)
                        .expectError(422, "VALIDATION_ERROR")
                }
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200)
            }
        }
    }

    /// A request about one connection.
    enum Operation: String, CaseIterable {
        case sync, reset, refresh, clear, state

        static let starts: [Operation] = [.sync, .reset, .refresh, .clear]
    }
}

extension TLSClient {
    fileprivate func call(_ operation: EndToEnd.Operation) throws -> Answer {
        switch operation {
        case .sync, .reset: try call("POST", Path.jobs, body: trigger(operation.rawValue))
        case .refresh: try call("POST", Path.refresh, body: #"{"streams":[]}"#)
        case .clear: try call("POST", Path.clear, body: #"{"streams":["users"]}"#)
        case .state: try call("PATCH", Path.state, body: #"{"state":{},"state_type":"stream"}"#)
        }
    }
}

extension Answer {
    /// Checks that this is a 409 that tells of `job` all that a client needs.
    func expectConflict(
        with job: String, isAirweave: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING", isAirweave: isAirweave, sourceLocation: sourceLocation)
        let active = try json("error", "details", "active_job")
        #expect(active?["id"]?.string == job, "\(text)", sourceLocation: sourceLocation)
        #expect(active?["type"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
        #expect(
            ["pending", "running"].contains(active?["status"]?.string), "\(text)", sourceLocation: sourceLocation)
        #expect(
            self["location"]?.hasSuffix("/jobs/\(job)") == true, "\(self["location"] ?? "")",
            sourceLocation: sourceLocation)
        #expect((1...60).contains(self["retry-after"].flatMap(Int.init) ?? 0), sourceLocation: sourceLocation)
        #expect(
            try json("error", "details", "retry_after")?.integer == self["retry-after"].flatMap(Int64.init),
            sourceLocation: sourceLocation)
    }
}
