import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// A client that gave up waiting, and sends its request again.
    @Suite("Requests that are sent again")
    struct ResendTests {
        private static let job =
            #"{"job_id":"job_1","connection_id":"conn_abc123","status":"running","job_type":"sync"}"#

        @Test("Resend: the same trigger gets its own running job, in either spelling and order of its members")
        func ownJob() async throws {
            try await withGateway(GatewaySetup(jobMilliseconds: 600_000, hasResendWindow: true)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                for body in [
                    trigger(), #"{ "jobType": "sync", "connectionId": "conn_abc123" }"#,
                ] {
                    let again = try client.call("POST", Path.jobs, body: body)
                    #expect(again.status == 200, "\(again.text)")
                    #expect(again["x-gateway-outcome"] == "deduplicated")
                    #expect(again["location"] == "\(Path.jobs)/\(job)")
                    #expect(try again.json("job_id")?.string == job)
                    #expect(try again.json("connection_id")?.string == "conn_abc123")
                    #expect(try again.json("job_type")?.string == "sync")
                }
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 1)
                try waitUntil("the log says so") { gateway.log.contains(#""outcome":"deduplicated""#) }
                let line = gateway.log.split(separator: "\n").first { $0.contains("deduplicated") } ?? ""
                #expect(line.contains(#""job":"\#(job)""#), "\(line)")
                #expect(line.contains(#""generation":"#), "\(line)")
            }
        }

        @Test("Resend: another token, operation or body gets a conflict, which says who runs what")
        func others() async throws {
            try await withGateway(GatewaySetup(jobMilliseconds: 600_000, hasResendWindow: true)) { gateway in
                let client = try TLSClient(gateway)
                let job = try client.startJob()
                let stranger = try client.call("POST", Path.jobs, token: .both, body: trigger())
                try stranger.expectConflict(with: job)
                #expect(try stranger.json("error", "details", "reason")?.string == "running")
                let active = try #require(try stranger.json("error", "details", "active_job"))
                #expect(active["token"]?.string == "org_xyz789/full")
                #expect((active["generation"]?.integer ?? 0) > 1_700_000_000_000)
                #expect(stranger["link"] == "<\(Path.jobs)/\(job)>; rel=\"monitor\"")
                try client.call("POST", Path.jobs, body: trigger("reset")).expectConflict(with: job)
                try client.call("POST", Path.refresh, body: #"{"streams":[]}"#).expectConflict(with: job)
            }
        }

        @Test("Resend: a run has an answer that its clients can read")
        func run() async throws {
            try await withGateway(GatewaySetup(jobMilliseconds: 600_000, hasResendWindow: true)) { gateway in
                let client = try TLSClient(gateway)
                let id = try #require(try client.call("POST", Path.run).json("id")?.string)
                let again = try client.call("POST", Path.run)
                #expect(again.status == 200, "\(again.text)")
                #expect(try again.json("id")?.string == id)
                #expect(try again.json("source_connection_id")?.string == TestConnections.sourceConnection)
                #expect(try again.json("status")?.string != nil)
                // Another query asks for something else.
                try client.call("POST", Path.run + "?force_full_sync=true").expectConflict(with: id, isAirweave: true)
            }
        }

        @Test("Resend: while the upstream still works on the first request, the second waits for its job")
        func joins() async throws {
            try await withRawUpstream(hasResendWindow: true) { gateway, upstream in
                var first: TLSClient? = try TLSClient(gateway)
                try first?.send(request("POST", Path.jobs, body: trigger()))
                let (peer, sent) = try upstream.acceptRequest()
                #expect(sent.values("x-gateway-lease-generation").first.flatMap(UInt64.init) ?? 0 > 1_700_000_000_000)
                // The first client gives up, as with a time-out of its own.
                first = nil
                let second = try TLSClient(gateway)
                try second.send(request("POST", Path.jobs, body: trigger()))
                let other = try TLSClient(gateway)
                try other.call("POST", Path.jobs, token: .both, body: trigger())
                    .expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                try peer.send(answer(body: Self.job))
                let received = try second.answer()
                #expect(received.status == 200, "\(received.text)")
                #expect(received["x-gateway-outcome"] == "deduplicated")
                #expect(try received.json("job_id")?.string == "job_1")
                #expect(upstream.isLeftAlone, "nothing was sent twice")
            }
        }

        @Test("Resend: if the upstream refused the first request, the second is sent in its turn")
        func refused() async throws {
            try await withRawUpstream(hasResendWindow: true) { gateway, upstream in
                let first = try TLSClient(gateway)
                try first.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                let second = try TLSClient(gateway)
                try second.send(request("POST", Path.jobs, body: trigger()))
                try peer.send(answer(422, body: #"{"detail":"no"}"#))
                #expect(try first.answer().status == 422)
                #expect(try peer.request().method == "POST")
                try peer.send(answer(body: Self.job))
                let received = try second.answer()
                #expect(received.status == 200, "\(received.text)")
                #expect(received["x-gateway-outcome"] == nil)
            }
        }

        @Test("Resend: a lost answer is not a reason to start again: the job that polls find is the answer")
        func lostAnswer() async throws {
            let list = Mutex("[]")
            try await withRawUpstream(hasResendWindow: true) { gateway, upstream in
                let first = try TLSClient(gateway)
                try first.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                peer.close()
                #expect(try first.answer().status == 502)
                list.withLock { $0 = "[\(Self.job)]" }
                upstream.answer { request in
                    request.method == "GET"
                        ? EndToEndTests.answer(body: #"{"data":\#(list.withLock { $0 }),"total":1}"#) : nil
                }
                let second = try TLSClient(gateway)
                let received = try second.call("POST", Path.jobs, body: trigger())
                #expect(received.status == 200, "\(received.text)")
                #expect(try received.json("job_id")?.string == "job_1")
                #expect(upstream.answered.allSatisfy { $0.method == "GET" }, "nothing was sent twice")
            }
        }

        @Test("Resend: a client that leaves while it waits frees its place")
        func leaves() async throws {
            try await withRawUpstream(hasResendWindow: true) { gateway, upstream in
                let first = try TLSClient(gateway)
                try first.send(request("POST", Path.jobs, body: trigger()))
                let (peer, _) = try upstream.acceptRequest()
                // More than may wait at once, one round after the other.
                for round in 1...3 {
                    do {
                        let clients = try (0..<16).map { _ in try TLSClient(gateway) }
                        for client in clients { try client.send(request("POST", Path.jobs, body: trigger())) }
                    }
                    try waitUntil("the clients that left are in the log") {
                        gateway.log.split(separator: "\n").count { $0.contains(#""status":499"#) } == round * 16
                    }
                }
                let last = try TLSClient(gateway)
                try last.send(request("POST", Path.jobs, body: trigger()))
                try peer.send(answer(body: Self.job))
                #expect(try first.answer().status == 200)
                #expect(try last.answer().status == 200)
            }
        }
    }
}
