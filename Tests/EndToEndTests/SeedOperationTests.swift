import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("The nine operations of the seed documents, with curl")
    struct SeedOperationTests {
        @Test("Seed operations: refresh starts a job that reads the streams anew")
        func refresh() async throws {
            try await withGateway { gateway in
                let answer = try gateway.curl(
                    "POST", Path.refresh, json: #"{"streams":["users"],"remove_records":true}"#)
                #expect(answer.status == 200)
                #expect(answer.text == #"{"status":"refreshing"}"#)
                try gateway.expectJob(type: "refresh", rows: TestConnections.rows)
            }
        }

        @Test("Seed operations: clear starts a job that erases the streams")
        func clear() async throws {
            try await withGateway { gateway in
                let answer = try gateway.curl("POST", Path.clear, json: #"{"streams":[]}"#)
                #expect(answer.status == 200)
                #expect(answer.text == #"{"status":"clearing"}"#)
                try gateway.expectJob(type: "clear", rows: nil)
            }
        }

        @Test("Seed operations: the state can be read, replaced and read again")
        func state() async throws {
            try await withGateway { gateway in
                #expect(try gateway.curl(Path.state).json("state")?.object != nil)
                let state = #"{"state":{"users":{"cursor":"2024-06-15T10:05:00Z"}},"state_type":"stream"}"#
                let update = try gateway.curl("PATCH", Path.state, json: state)
                #expect(update.status == 200, "\(update.text)")
                let answer = try gateway.curl(Path.state)
                #expect(answer.status == 200)
                #expect(answer.body == update.body)
                #expect(try answer.json("state_type")?.string == "stream")
                #expect(try answer.json("state", "users", "cursor")?.string == "2024-06-15T10:05:00Z")
            }
        }

        @Test("Seed operations: a job is triggered, listed, read and, once it has ended, refuses to be cancelled")
        func jobs() async throws {
            try await withGateway { gateway in
                let started = try gateway.curl("POST", Path.jobs, json: trigger())
                #expect(started.status == 200)
                let id = try #require(try started.json("job_id")?.string)
                #expect(try started.json("connection_id")?.string == TestConnections.connection)
                try gateway.expectJob(type: "sync", rows: 2 * TestConnections.rows)
                let list = try gateway.curl("\(Path.jobs)?connection_id=\(TestConnections.connection)&limit=5")
                #expect(try list.json("total")?.integer == 1)
                let one = try gateway.curl("\(Path.jobs)/\(id)")
                #expect(try one.json("job_id")?.string == id)
                #expect(try one.json("duration")?.string?.hasPrefix("PT") == true)
                try gateway.curl("\(Path.jobs)/\(id)", "-X", "DELETE").expectError(409, "CONNECTOR_JOB_NOT_RUNNING")
            }
        }

        @Test("Seed operations: a running job is cancelled with an empty 204")
        func cancel() async throws {
            try await withGateway(.longJobs) { gateway in
                let id = try TLSClient(gateway).startJob()
                let answer = try gateway.curl("\(Path.jobs)/\(id)", "-X", "DELETE")
                #expect(answer.status == 204)
                #expect(answer.body.isEmpty)
                #expect(answer["content-length"] == nil && answer["transfer-encoding"] == nil)
                try TLSClient(gateway).waitForEnd(of: id)
                #expect(try gateway.curl("\(Path.jobs)/\(id)").json("status")?.string == "cancelled")
            }
        }

        @Test(
            "Seed operations: a source connection runs under each of its paths",
            arguments: [Path.run, Path.run + "/", String(Path.run.dropFirst(3)), Path.run + "?force_full_sync=true"])
        func run(path: String) async throws {
            try await withGateway { gateway in
                // Neither length nor coding: what curl sends for a POST without a body.
                let answer = try gateway.curl(path, "-X", "POST")
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try answer.json("source_connection_id")?.string == TestConnections.sourceConnection)
                #expect(try answer.json("id")?.string?.isEmpty == false)
            }
        }

        @Test("Seed operations: both spellings of a trigger's fields are understood; two that disagree are refused")
        func spellings() async throws {
            try await withGateway { gateway in
                let camel = #"{"connectionId":"conn_abc123","jobType":"sync"}"#
                #expect(try gateway.curl("POST", Path.jobs, json: camel).status == 200)
                try gateway.curl("POST", Path.jobs, json: #"{"connection_id":"conn_a","connectionId":"conn_b"}"#)
                    .expectError(400, "CONFLICTING_FIELDS")
                try gateway.curl("POST", Path.jobs, json: "{").expectError(400, "INVALID_JSON")
                try gateway.curl("POST", Path.jobs, json: "{}").expectError(422, "VALIDATION_ERROR")
            }
        }
    }
}

extension TestGateway {
    /// Waits until the only job has succeeded.
    fileprivate func expectJob(type: String, rows: Int?) throws {
        let client = try TLSClient(self)
        var last = try client.call("GET", Path.jobs)
        try waitUntil("the \(type) has succeeded") {
            last = try client.call("GET", Path.jobs)
            return try last.json("data")?.array?.first?["status"]?.string == "succeeded"
        }
        let job = try last.json("data")?.array?.first
        #expect(job?["job_type"]?.string == type)
        if let rows { #expect(job?["rows_synced"]?.integer == Int64(rows)) }
    }
}
