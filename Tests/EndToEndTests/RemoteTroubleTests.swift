import TestSupport
import Testing

extension EndToEnd {
    /// Endpoints that fail: what is tried again, what is passed over, and when one is left alone.
    @Suite("A remote upstream in trouble")
    struct RemoteTroubleTests {
        @Test("Upstream failures: a GET on a closed connection is retried once, a POST never is")
        func deadConnection() async throws {
            try await withRawUpstream("breaker: { consecutiveFailures: 1 },") { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                var peer = try upstream.acceptRequest().peer
                try peer.send(answer())
                #expect(try client.answer().status == 200)
                // The upstream closes without a word just as the request comes.
                try client.send(request("GET", Path.state))
                _ = try peer.request()
                peer.close()
                peer = try upstream.acceptRequest().peer
                try peer.send(answer(body: "again"))
                #expect(try client.answer().text == "again")

                try client.send(request("POST", Path.base + "/things", body: "{}"))
                _ = try peer.request()
                peer.close()
                let lost = try client.answer()
                try lost.expectError(502, "BAD_GATEWAY")
                #expect(lost["proxy-status"]?.contains("connection_terminated") == true)
                #expect(upstream.isLeftAlone)

                // Neither says that the endpoint is not well.
                try client.send(request("GET", Path.state))
                peer = try upstream.acceptRequest().peer
                // On a connection that is new, a GET is not sent again either.
                peer.close()
                try client.answer().expectError(502, "BAD_GATEWAY")
                try client.call("GET", Path.state).expectError(503, "SERVICE_UNAVAILABLE")
            }
        }

        @Test("Upstream failures: a refused endpoint is passed over, also by a POST")
        func passedOver() async throws {
            let dead = try RawUpstream()
            dead.refuse()
            let alive = try RawUpstream()
            alive.answer { _ in answer() }
            defer { alive.stopAnswering() }
            var setup = GatewaySetup()
            setup.workers = 1
            setup.upstream = #"url: ["http://127.0.0.1:\#(dead.port)", "http://127.0.0.1:\#(alive.port)"],"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<6 { #expect(try client.call("POST", Path.base + "/x", body: "{}").status == 200) }
                #expect(alive.answered.count == 6)
            }
        }

        @Test("Upstream failures: the breaker opens after failures in a row, and closes when a probe succeeds")
        func breaker() async throws {
            try await withRawUpstream(#"breaker: { consecutiveFailures: 3, openFor: "200ms" },"#) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                func exchange(_ text: String) throws -> Answer {
                    try peer.send(text)
                    return try client.answer()
                }
                #expect(try exchange(answer(503)).status == 503)
                // Answers, however bad they look, are no failures.
                for status in [409, 429, 500, 404, 400, 502, 503, 504, 502, 503, 504] {
                    try client.send(request("GET", Path.state))
                    _ = try peer.request()
                    #expect(try exchange(answer(status)).status == status)
                }
                try client.send(request("GET", Path.state))
                _ = try peer.request()
                peer.close()
                // On a connection that had served others a GET is sent once more.
                for attempt in 1...3 {
                    let (next, _) = try upstream.acceptRequest()
                    next.close()
                    try client.answer().expectError(502, "BAD_GATEWAY")
                    if attempt < 3 { try client.send(request("GET", Path.state)) }
                }
                let refused = try client.call("GET", Path.state)
                try refused.expectError(503, "SERVICE_UNAVAILABLE")
                #expect(refused["retry-after"] != nil)
                #expect(refused["proxy-status"]?.contains("destination_unavailable") == true)
                #expect(upstream.isLeftAlone)
                #expect(gateway.said.contains { $0.contains("is ejected for 0.2 seconds: the connection ended") })
                // Once the time is over one request tries, and others go on being refused meanwhile.
                let second = try TLSClient(gateway)
                try waitUntil("a request is let through") {
                    try client.send(request("GET", Path.state))
                    try waitUntil("it is forwarded or refused") { !upstream.isIdle || client.isReadable }
                    if upstream.isIdle { try client.answer().expectError(503, "SERVICE_UNAVAILABLE") }
                    return !upstream.isIdle
                }
                let (tried, _) = try upstream.acceptRequest()
                try second.call("GET", Path.state).expectError(503, "SERVICE_UNAVAILABLE")
                try tried.send(answer())
                #expect(try client.answer().status == 200)
                try second.send(request("GET", Path.state))
                _ = try tried.request()
                try tried.send(answer())
                #expect(try second.answer().status == 200)
                #expect(gateway.said.contains { $0.hasSuffix("is readmitted") })
            }
        }

        @Test("Upstream failures: clients that give up do not let others through to a half-open endpoint")
        func abandonedBeside() async throws {
            try await withRawUpstream(#"breaker: { consecutiveFailures: 1, openFor: "50ms" },"#) { gateway, upstream in
                var first: TLSClient? = try TLSClient(gateway)
                let (second, third) = (try TLSClient(gateway), try TLSClient(gateway))
                try first?.send(request("GET", Path.state))
                let hanging = try upstream.acceptRequest().peer
                try second.send(request("GET", Path.state))
                let failing = try upstream.acceptRequest().peer
                failing.close()
                #expect(try second.answer().status == 502)
                try waitUntil("a request is let through") {
                    try second.send(request("GET", Path.state))
                    try waitUntil("it is forwarded or refused") { !upstream.isIdle || second.isReadable }
                    if upstream.isIdle { try second.answer().expectError(503, "SERVICE_UNAVAILABLE") }
                    return !upstream.isIdle
                }
                let tried = try upstream.acceptRequest().peer
                first = nil
                try hanging.expectClose()
                try third.call("GET", Path.state).expectError(503, "SERVICE_UNAVAILABLE")
                try tried.send(answer())
                #expect(try second.answer().status == 200)
            }
        }

        @Test("Upstream failures: connections that all close at once prove nothing about the endpoint")
        func restartedEndpoint() async throws {
            try await withRawUpstream("breaker: { consecutiveFailures: 2 },") { gateway, upstream in
                let clients = try (0..<4).map { _ in try TLSClient(gateway) }
                var peers: [RawPeer] = []
                for client in clients {
                    try client.send(request("GET", Path.state))
                    peers.append(try upstream.acceptRequest().peer)
                }
                for (client, peer) in zip(clients, peers) {
                    try peer.send(answer())
                    #expect(try client.answer().status == 200)
                }
                for client in clients { try client.send(request("GET", Path.state)) }
                for peer in peers { _ = try peer.request() }
                for peer in peers { peer.close() }
                for _ in clients { try upstream.accept().respond(answer(200, "Connection: close")) }
                for client in clients { #expect(try client.answer().status == 200) }
            }
        }

        @Test("Upstream failures: a failed health check ejects an endpoint, and good ones readmit it")
        func healthCheck() async throws {
            let upstream = try RawUpstream()
            let isHealthy = Flag(true)
            upstream.answer {
                $0.target == "/base/healthz?x" ? answer(isHealthy.value ? 204 : 500, body: "") : answer()
            }
            defer { upstream.stopAnswering() }
            var setup = GatewaySetup()
            setup.upstream = #"""
                url: "http://127.0.0.1:\#(upstream.port)/base",
                health: { path: "/healthz?x", interval: "100ms", healthy: 1, unhealthy: 1 },
                """#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                #expect(try client.call("GET", Path.state).status == 200)
                isHealthy.value = false
                try waitUntil("it is out") { try client.call("GET", Path.state).status == 503 }
                #expect(gateway.said.contains { $0.contains("failed its health checks") })
                isHealthy.value = true
                try waitUntil("it is back") { try client.call("GET", Path.state).status == 200 }
                #expect(gateway.said.contains { $0.contains("is healthy") })
                let check = try #require(upstream.answered.first { $0.target == "/base/healthz?x" })
                #expect(check.values("authorization") == [])
                #expect(check.values("host") == ["127.0.0.1:\(upstream.port)"])
            }
        }

        @Test(
            "Upstream failures: beyond the limit requests wait, and beyond the queue they get 503 at once")
        func cap() async throws {
            try await withRawUpstream(
                #"connections: { inFlight: 1, queue: 1 }, timeouts: { queue: "20s" },"#
            ) { gateway, upstream in
                let (first, second, third) = (try TLSClient(gateway), try TLSClient(gateway), try TLSClient(gateway))
                try first.send(request("GET", Path.base + "/first"))
                let (peer, _) = try upstream.acceptRequest()
                // Which of two waits is open: both are sent, one is refused.
                try second.send(request("GET", Path.base + "/other"))
                try third.send(request("GET", Path.base + "/other"))
                try waitUntil("one is refused") { second.isReadable || third.isReadable }
                let (waiting, refused) = second.isReadable ? (third, second) : (second, third)
                let answered = try refused.answer()
                try answered.expectError(503, "SERVICE_UNAVAILABLE")
                #expect(answered["retry-after"] != nil)
                #expect(answered["proxy-status"]?.contains("connection_limit_reached") == true)
                #expect(upstream.isLeftAlone && !peer.isReadable)
                try peer.send(answer())
                #expect(try first.answer().status == 200)
                #expect(try peer.request().target.hasSuffix("/other"))
                try peer.send(answer())
                #expect(try waiting.answer().status == 200)
            }
        }

        @Test("Upstream failures: a request that waits too long for a permit gets 503, and no permit is lost")
        func queueTimeout() async throws {
            try await withRawUpstream(
                #"connections: { inFlight: 1, queue: 1 }, timeouts: { queue: "50ms" },"#
            ) { gateway, upstream in
                let (first, second) = (try TLSClient(gateway), try TLSClient(gateway))
                try first.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                for _ in 0..<3 { try second.call("GET", Path.state).expectError(503, "SERVICE_UNAVAILABLE") }
                try peer.send(answer())
                #expect(try first.answer().status == 200)
                try second.send(request("GET", Path.state))
                _ = try peer.request()
                try peer.send(answer())
                #expect(try second.answer().status == 200)
            }
        }

        @Test("Upstream failures: a client that left while it waited for a permit sends nothing upstream")
        func goneInQueue() async throws {
            try await withRawUpstream(
                #"connections: { inFlight: 1, queue: 1 }, timeouts: { queue: "20s" },"#
            ) { gateway, upstream in
                let first = try TLSClient(gateway)
                try first.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                var second: TLSClient? = try TLSClient(gateway)
                let third = try TLSClient(gateway)
                // The one worker has seen what came before a request that it answered.
                try second?.send(request("GET", Path.base + "/gone"))
                #expect(try third.call("GET", "/").status == 204)
                second = nil
                #expect(try third.call("GET", "/").status == 204)
                try peer.send(answer())
                #expect(try first.answer().status == 200)
                try third.send(request("GET", Path.base + "/after"))
                #expect(try peer.request().target.hasSuffix("/after"))
                try peer.send(answer())
                #expect(try third.answer().status == 200)
            }
        }

        @Test("Upstream failures: two endpoints share the requests by their load")
        func balance() async throws {
            let upstreams = [try RawUpstream(), try RawUpstream()]
            var setup = GatewaySetup()
            setup.workers = 1
            setup.upstream = "url: [\(upstreams.map { #""http://127.0.0.1:\#($0.port)""# }.joined(separator: ","))],"
            try await withGateway(setup) { gateway in
                let clients = try (0..<6).map { _ in try TLSClient(gateway) }
                // While nothing is answered they are shared evenly.
                for client in clients { try client.send(request("GET", Path.state)) }
                let peers = try upstreams.map { upstream in try (0..<3).map { _ in try upstream.acceptRequest().peer } }
                for upstream in upstreams { #expect(upstream.isLeftAlone) }
                // The one that is through with its own gets the next ones.
                for peer in peers[1] { try peer.send(answer()) }
                var idle: [TLSClient] = []
                try waitUntil("three are answered") {
                    idle = clients.filter(\.isReadable)
                    return idle.count == 3
                }
                for client in idle { #expect(try client.answer().status == 200) }
                for client in idle { try client.send(request("GET", Path.state)) }
                for peer in peers[1] {
                    _ = try peer.request()
                    try peer.send(answer())
                }
                for peer in peers[0] { try peer.send(answer()) }
                for client in clients { #expect(try client.answer().status == 200) }
            }
        }
    }
}
