import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Requests with an `Idempotency-Key` to a remote upstream, and over restarts.
    @Suite("Idempotency keys")
    struct IdempotencyTests {
        private static let job =
            #"{"job_id":"job_1","connection_id":"conn_abc123","status":"running","job_type":"sync","start_time":"2099-01-01T00:00:00Z"}"#

        /// What the upstream shows when it is asked for jobs; every trigger starts `job_1`.
        private static func answer(_ request: RawRequest, listing jobs: String = "[]") -> String? {
            guard request.method == "GET" else { return EndToEndTests.answer(201, "ETag: \"7\"", body: job) }
            let isList = request.target.split(separator: "?")[0] == Path.jobs
            return EndToEndTests.answer(body: isList ? #"{"jobs":\#(jobs)}"# : job)
        }

        private static func keyed(_ key: String, body: String = trigger()) -> String {
            request("POST", Path.jobs, "Idempotency-Key: \(key)", "Content-Type: application/json", body: body)
        }

        private func call(_ client: TLSClient, _ key: String, body: String = trigger()) throws -> Answer {
            try client.send(Self.keyed(key, body: body))
            return try client.answer()
        }

        /// Runs a gateway over the folder, and stops it.
        private func run(
            _ setup: GatewaySetup, in folder: TestFolder, _ body: (TestGateway) async throws -> Void
        ) async throws {
            let gateway = try await TestGateway.start(setup, in: folder)
            do { try await body(gateway) } catch {
                await gateway.stop()
                throw error
            }
            await gateway.stop()
        }

        private func setup(_ upstream: RawUpstream, _ more: String = "") -> GatewaySetup {
            var setup = GatewaySetup()
            setup.workers = 1
            setup.upstream = upstream.settings(more)
            return setup
        }

        @Test("Idempotency: a relayed response is replayed byte for byte, also after a restart")
        func replay() async throws {
            let upstream = try RawUpstream()
            defer { upstream.stopAnswering() }
            try await withTestFolder { folder in
                var first: Answer?
                try await run(setup(upstream), in: folder) { gateway in
                    let client = try TLSClient(gateway)
                    try client.send(Self.keyed("k"))
                    let (peer, sent) = try upstream.acceptRequest()
                    #expect(sent.values("idempotency-key") == ["k"])
                    let body = gzip(Array(Self.job.utf8))
                    let head = [
                        "HTTP/1.1 201 Created", "Content-Type: application/json; charset=utf-8",
                        "Content-Encoding: gzip",
                        "Location: http://127.0.0.1:\(upstream.port)/v1/jobs/job_1", "Set-Cookie: a=b",
                        "X-Request-ID: r-1",
                        "Content-Length: \(body.count)",
                    ]
                    try peer.send(Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
                    let answer = try client.answer()
                    #expect(answer.status == 201 && answer["idempotent-replayed"] == nil && answer.body == body)
                    first = answer
                    upstream.answer { Self.answer($0) }
                    try check(call(client, "\"k\""), replays: answer)
                    try check(
                        call(client, "k", body: #"{ "jobType":"sync", "connectionId":"conn_abc123" }"#), replays: answer
                    )
                    try call(client, "k", body: trigger("reset")).expectError(422, "IDEMPOTENCY_KEY_REUSED")
                    try waitUntil("the log says so") { gateway.log.contains(#""idempotency":"replayed""#) }
                    #expect(gateway.log.contains(#""idempotency":"first""#))
                    #expect(!gateway.log.contains(#""k""#))
                }
                try await run(setup(upstream), in: folder) { gateway in
                    try check(call(try TLSClient(gateway), "k"), replays: try #require(first))
                }
                #expect(!upstream.answered.contains { $0.method == "POST" })
            }
        }

        private func check(_ answer: Answer, replays first: Answer) throws {
            #expect(answer.status == first.status && answer.body == first.body, "\(answer.text)")
            #expect(answer["idempotent-replayed"] == "true")
            for name in ["content-type", "content-encoding", "location", "x-request-id"] {
                #expect(answer[name] == first[name], "\(name)")
            }
            #expect(answer["set-cookie"] == nil)
        }

        @Test("Idempotency: after a crash in the middle of a request it gets its job, and is not executed again")
        func crashWithJob() async throws {
            try await crash(listing: "[\(Self.job)]") { client, upstream in
                try waitUntil("the job has been found") {
                    let answer = try call(client, "k")
                    if answer.status == 409 { try answer.expectError(409, "IDEMPOTENCY_IN_PROGRESS") }
                    return answer.status == 200
                }
                let own = try call(client, "k")
                #expect(try own.json("job_id")?.string == "job_1")
                #expect(own["idempotent-replayed"] == "true" && own["x-gateway-outcome"] == "deduplicated")
                #expect(!upstream.answered.contains { $0.method == "POST" })
            }
        }

        @Test("Idempotency: after a crash in the middle of a request that began nothing, the request is executed once")
        func crashWithoutJob() async throws {
            try await crash(listing: "[]") { client, upstream in
                try waitUntil("the upstream has shown that nothing runs") {
                    let answer = try call(client, "k")
                    if answer.status == 409 { try answer.expectError(409, "IDEMPOTENCY_IN_PROGRESS") }
                    return answer.status == 201
                }
                #expect(try call(client, "k")["idempotent-replayed"] == "true")
                #expect(upstream.answered.filter { $0.method == "POST" }.count == 1)
            }
        }

        @Test("Idempotency: a lost request whose job had another type than its route's lease is not executed again")
        func lostReset() async throws {
            let reset =
                #"{"job_id":"job_1","connection_id":"conn_abc123","status":"succeeded","job_type":"reset","start_time":"2099-01-01T00:00:00Z"}"#
            let upstream = try RawUpstream()
            defer { upstream.stopAnswering() }
            let setup = setup(upstream, #"timeouts: { responseHead: "1s" }, ownCredential: "none","#)
            try await withTestFolder { folder in
                try await run(setup, in: folder) { gateway in
                    let client = try TLSClient(gateway)
                    try client.send(Self.keyed("k", body: trigger("reset")))
                    let (peer, _) = try upstream.acceptRequest()
                    peer.close()
                    #expect(try client.answer().status == 502)
                    upstream.answer { Self.answer($0, listing: "[\(reset)]") }
                    try waitUntil("the upstream has shown what became of it") {
                        let answer = try call(client, "k", body: trigger("reset"))
                        return answer.text.contains("IDEMPOTENCY_OUTCOME_UNKNOWN")
                    }
                    #expect(!upstream.answered.contains { $0.method == "POST" })
                }
            }
        }

        /// A gateway is killed while the upstream has its request. Then `body` uses the next one, over what was on the disk.
        private func crash(listing jobs: String, _ body: (TLSClient, RawUpstream) throws -> Void) async throws {
            let upstream = try RawUpstream()
            defer { upstream.stopAnswering() }
            let setup = setup(upstream, #"timeouts: { responseHead: "1s" }, ownCredential: "none","#)
            try await withTestFolder { image in
                try await withTestFolder { folder in
                    try await run(setup, in: folder) { gateway in
                        let client = try TLSClient(gateway)
                        try client.send(Self.keyed("k"))
                        let (peer, _) = try upstream.acceptRequest()
                        // What a process that is killed now would leave.
                        for name in ["leases.journal", "idempotency.journal"] {
                            try FileManager.default.copyItem(
                                atPath: "\(folder.state)/\(name)", toPath: "\(image.state)/\(name)")
                        }
                        peer.close()
                        _ = try client.answer()
                    }
                }
                upstream.answer { Self.answer($0, listing: jobs) }
                try await run(setup, in: image) { gateway in try body(try TLSClient(gateway), upstream) }
            }
        }

        @Test("Idempotency: of two requests at once one reaches the upstream, and the other can wait for its response")
        func twoAtOnce() async throws {
            try await withRawUpstream { gateway, upstream in
                let (first, second) = (try TLSClient(gateway), try TLSClient(gateway))
                try first.send(Self.keyed("k"))
                let (peer, _) = try upstream.acceptRequest()
                try call(second, "k").expectError(409, "IDEMPOTENCY_IN_PROGRESS")
                try second.send(
                    request(
                        "POST", Path.jobs, "Idempotency-Key: k", "Content-Type: application/json", "Prefer: wait=30",
                        body: trigger()))
                try peer.send(EndToEndTests.answer(body: Self.job))
                let (own, joined) = (try first.answer(), try second.answer())
                #expect(own.status == 200 && joined.status == 200 && own.body == joined.body)
                #expect(own["idempotent-replayed"] == nil && joined["idempotent-replayed"] == "true")
                #expect(upstream.isLeftAlone)
            }
        }

        @Test("Idempotency: where a key is required, one is needed; and the response to a client that has left is kept")
        func required() async throws {
            try await withRawUpstream(leaseFields: #"idempotency: "required""#) { gateway, upstream in
                try TLSClient(gateway).call("POST", Path.jobs, body: trigger()).expectError(
                    400, "IDEMPOTENCY_KEY_REQUIRED")
                var client: TLSClient? = try TLSClient(gateway)
                try client?.send(Self.keyed("k"))
                let (peer, _) = try upstream.acceptRequest()
                client = nil
                #expect(try TLSClient(gateway).call("GET", "/").status == 204)
                try peer.send(EndToEndTests.answer(body: Self.job))
                let other = try TLSClient(gateway)
                try waitUntil("the response is kept") { try call(other, "k").status == 200 }
                #expect(try call(other, "k")["idempotent-replayed"] == "true")
                #expect(upstream.isLeftAlone)
            }
        }

        @Test("Idempotency: in front of the connector service of the package one key is one job, also after a restart")
        func local() async throws {
            try await withTestFolder { folder in
                var first: Answer?
                try await run(.longJobs, in: folder) { gateway in
                    let client = try TLSClient(gateway)
                    let answer = try call(client, "k")
                    #expect(answer.status == 200, "\(answer.text)")
                    #expect(try call(client, "k").body == answer.body)
                    try call(client, "other").expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                    first = answer
                }
                try await run(.longJobs, in: folder) { gateway in
                    let client = try TLSClient(gateway)
                    let again = try call(client, "k")
                    #expect(again.status == 200 && again.body == first?.body && again["idempotent-replayed"] == "true")
                    #expect(try client.call("GET", Path.jobs).json("total")?.integer == 1)
                }
            }
        }
    }
}
