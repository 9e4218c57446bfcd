import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Jobs of a remote upstream, and the leases that follow them.
    @Suite("Leases with a remote upstream")
    struct RemoteLeaseTests {
        private static func job(_ id: String, _ status: String) -> String {
            #"{"job_id":"\#(id)","id":"\#(id)","connection_id":"conn_abc123","status":"\#(status)"}"#
        }

        /// What the upstream says about its jobs when it is asked; triggers are held until the test answers them.
        private final class Jobs: Sendable {
            let status = Mutex("running")
            let list = Mutex("[]")
            let trigger = Mutex<String?>(nil)

            func answer(_ request: RawRequest) -> String? {
                switch (request.method, request.target.split(separator: "?")[0]) {
                case ("GET", Path.jobs[...]):
                    return EndToEndTests.answer(body: #"{"jobs":\#(list.withLock { $0 })}"#)
                case ("GET", _): return EndToEndTests.answer(body: job("job_1", status.withLock { $0 }))
                default: return trigger.withLock { $0 }
                }
            }
        }

        @Test("Remote lease: status polls are sent even if no request may wait for a permit")
        func noQueue() async throws {
            let jobs = Jobs()
            try await withRawUpstream("connections: { queue: 0 },") { gateway, upstream in
                jobs.trigger.withLock { $0 = answer(body: Self.job("job_1", "pending")) }
                jobs.status.withLock { $0 = "succeeded" }
                upstream.answer(jobs.answer)
                let client = try TLSClient(gateway)
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200)
                try waitUntil("the end of the job has been seen") {
                    (try? client.call("POST", Path.jobs, body: trigger()).status) == 200
                }
            }
        }

        @Test("Remote lease: the job of the response holds the connection until the upstream reports its end")
        func boundToJob() async throws {
            let jobs = Jobs()
            try await withRawUpstream { gateway, upstream in
                jobs.trigger.withLock { $0 = answer(body: Self.job("job_1", "pending")) }
                upstream.answer(jobs.answer)
                let client = try TLSClient(gateway)
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200)
                let conflict = try client.call("POST", Path.jobs, body: trigger())
                try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                #expect(try conflict.json("error", "details", "active_job", "id")?.string == "job_1")
                #expect(conflict["location"] == "\(Path.jobs)/job_1")
                jobs.status.withLock { $0 = "succeeded" }
                try waitUntil("the connection is free") {
                    try client.call("POST", Path.jobs, body: trigger()).status == 200
                }
                let triggers = upstream.answered.filter { $0.method == "POST" }
                #expect(triggers.count == 2, "no refused request went upstream")
            }
        }

        @Test("Remote lease: a 409 has the start of a remote job as the upstream reports it, to the millisecond")
        func startedAt() async throws {
            try await withRawUpstream { gateway, upstream in
                let start = "2024-06-15T10:00:00.250Z"
                let job =
                    #"{"job_id":"job_1","connection_id":"conn_abc123","status":"running","start_time":"\#(start)"}"#
                upstream.answer { _ in answer(body: job) }
                let client = try TLSClient(gateway)
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200)
                let conflict = try client.call("POST", Path.jobs, body: trigger())
                try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                #expect(try conflict.json("error", "details", "active_job", "started_at")?.string == start)
            }
        }

        @Test("Remote lease: the job is read also from a compressed response")
        func compressedAnswer() async throws {
            let jobs = Jobs()
            try await withRawUpstream { gateway, upstream in
                // {"job_id":"job_1","status":"pending"} with stored blocks: gzip needs no compressor for that.
                let plain = Array(#"{"job_id":"job_1","status":"pending"}"#.utf8)
                let client = try TLSClient(gateway)
                try client.send(request("POST", Path.jobs, "Accept-Encoding: gzip", body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                let body = gzip(plain)
                try peer.send(
                    Array("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
                        + body)
                let received = try client.answer()
                #expect(received.body == body, "byte for byte")
                upstream.answer(jobs.answer)
                let conflict = try client.call("POST", Path.jobs, body: trigger())
                try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                #expect(try conflict.json("error", "details", "active_job", "id")?.string == "job_1")
            }
        }

        @Test(
            "Remote lease: a request that takes a lease continues until its response, though its client has left",
            arguments: [false, true])
        func clientGone(hasInterim: Bool) async throws {
            let jobs = Jobs()
            try await withRawUpstream { gateway, upstream in
                var client: TLSClient? = try TLSClient(gateway)
                try client?.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                client = nil
                let other = try TLSClient(gateway)
                #expect(try other.call("GET", "/").status == 204)
                // Twice, so that the first one's reset has come back when the second is sent.
                if hasInterim {
                    for _ in 0..<2 {
                        try peer.send("HTTP/1.1 102 Processing\r\n\r\n")
                        #expect(try other.call("GET", "/").status == 204)
                    }
                }
                try peer.send(answer(body: Self.job("job_1", "running")))
                upstream.answer(jobs.answer)
                try waitUntil("the job is known") {
                    let conflict = try other.call("POST", Path.jobs, body: trigger())
                    try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                    return try conflict.json("error", "details", "active_job", "id")?.string == "job_1"
                }
            }
        }

        @Test("Remote lease: after a response without a job's id, polls find out what runs")
        func uncertain() async throws {
            let jobs = Jobs()
            try await withRawUpstream { gateway, upstream in
                jobs.trigger.withLock { $0 = answer(202, body: "accepted") }
                jobs.list.withLock { $0 = "[\(Self.job("job_7", "running"))]" }
                upstream.answer(jobs.answer)
                let client = try TLSClient(gateway)
                #expect(try client.call("POST", Path.refresh).status == 202)
                try client.call("POST", Path.refresh).expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                try waitUntil("the job is found") {
                    let conflict = try client.call("POST", Path.refresh)
                    try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                    return try conflict.json("error", "details", "active_job", "id")?.string == "job_7"
                }
            }
        }

        @Test(
            "Remote lease: a truncated response is an error for the client, but its job may run",
            arguments: ["Content-Length: 99\r\n\r\n{\"job", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"job\r\nzz\r\n"])
        func cutAnswer(rest: String) async throws {
            let jobs = Jobs()
            try await withRawUpstream(#"timeouts: { responseHead: "1s" },"#) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                try peer.send("HTTP/1.1 200 OK\r\n" + rest)
                peer.close()
                // Nothing of it has left: the client gets a whole answer, and its connection goes on.
                let failed = try client.answer()
                try failed.expectError(502, "BAD_GATEWAY", closes: false)
                upstream.answer(jobs.answer)
                try client.call("POST", Path.jobs, body: trigger()).expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                // The upstream says that nothing runs, and the time of the request is over: it never began.
                jobs.trigger.withLock { $0 = answer(body: Self.job("job_2", "running")) }
                try waitUntil("the connection is free") {
                    try client.call("POST", Path.jobs, body: trigger()).status == 200
                }
            }
        }

        @Test("Remote lease: a request that the upstream denies holds nothing", arguments: [401, 407])
        func refusedCredential(status: Int) async throws {
            try await withTestFolder { folder in
                let upstream = try RawUpstream()
                upstream.answer { _ in answer(status) }
                defer { upstream.stopAnswering() }
                var setup = GatewaySetup()
                setup.upstream = upstream.settings(
                    #"credential: { header: "Authorization", secretFile: "secrets/key" },"#)
                try folder.write("Bearer wrong", to: "policies/secrets/key")
                let gateway = try await TestGateway.start(setup, in: folder)
                let outcome = Result { () throws in
                    let client = try TLSClient(gateway)
                    for _ in 0..<2 {
                        let refused = try client.call("POST", Path.jobs, body: trigger())
                        try refused.expectError(502, "BAD_GATEWAY")
                        #expect(refused["www-authenticate"] == nil)
                    }
                }
                await gateway.stop()
                try outcome.get()
            }
        }

        @Test("Remote lease: status polls do not prove that a failing endpoint is healthy")
        func ownQuestions() async throws {
            try await withRawUpstream(#"breaker: { consecutiveFailures: 3, openFor: "20s" },"#) { gateway, upstream in
                upstream.answer { request in
                    request.method == "POST" ? answer(body: Self.job("job_1", "running")) : nil
                }
                let client = try TLSClient(gateway)
                #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200)
                #expect(try client.call("GET", Path.state).status == 502)
                // With the second question the first one's answer is through.
                try waitUntil("it has asked twice") {
                    upstream.answered.count { $0.target == Path.jobs + "/job_1" } >= 2
                }
                #expect([502, 503].contains(try client.call("GET", Path.state).status))
                let before = upstream.answered.count
                let refused = try client.call("GET", Path.state)
                #expect(refused["proxy-status"]?.contains("destination_unavailable") == true)
                #expect(upstream.answered.count == before)
            }
        }

        @Test(
            "Remote lease: a job from before a restart holds its connection until the upstream reports its end"
        )
        func restart() async throws {
            let jobs = Jobs()
            try await withTestFolder { folder in
                let upstream = try RawUpstream()
                jobs.trigger.withLock { $0 = answer(body: Self.job("job_1", "running")) }
                upstream.answer(jobs.answer)
                defer { upstream.stopAnswering() }
                var setup = GatewaySetup()
                setup.upstream = upstream.settings()
                for isFirst in [true, false] {
                    let gateway = try await TestGateway.start(setup, in: folder)
                    let outcome = Result {
                        let client = try TLSClient(gateway)
                        if isFirst { #expect(try client.call("POST", Path.jobs, body: trigger()).status == 200) }
                        let conflict = try client.call("POST", Path.jobs, body: trigger())
                        try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                        #expect(try conflict.json("error", "details", "active_job", "id")?.string == "job_1")
                        guard !isFirst else { return }
                        jobs.status.withLock { $0 = "failed" }
                        try waitUntil("the connection is free") {
                            try client.call("POST", Path.jobs, body: trigger()).status == 200
                        }
                    }
                    await gateway.stop()
                    try outcome.get()
                }
            }
        }
    }
}

/// A gzip member with one stored block (RFC 1951, section 3.2.4; RFC 1952).
func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var crc: UInt32 = .max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    func little(_ value: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
    }
    let length = UInt32(bytes.count)
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1] + little(length, 2) + little(~length, 2) + bytes
        + little(~crc, 4) + little(length, 4)
}
