import TestSupport
import Testing

@testable import Transport

@Suite struct ConnectionLimiterTests {
    @Test func oneClientLeavesPlacesForOthers() {
        let limiter = ConnectionLimiter(limit: 16)
        #expect((0..<20).count { _ in limiter.tryAcquire(for: 1) } == 14)
        #expect(limiter.tryAcquire(for: 2))
        #expect(!limiter.tryAcquire(for: 1))
        #expect(limiter.tryAcquire(for: 3))
        #expect(!limiter.tryAcquire(for: 4))
        #expect(limiter.open == 16)
    }

    @Test func whoHasMoreGivesWay() {
        let limiter = ConnectionLimiter(limit: 8)
        for _ in 0..<7 { #expect(limiter.tryAcquire(for: 1)) }
        #expect(limiter.tryAcquire(for: 2))
        #expect(!limiter.tryTransfer(from: 2, to: 1))
        #expect(limiter.tryTransfer(from: 1, to: 1))
        #expect(limiter.tryTransfer(from: 1, to: 3))
        #expect(limiter.open == 8)
        #expect(limiter.usage().counts == [1: 6, 2: 1, 3: 1])
    }

    @Test func aClientWithoutConnectionsIsForgotten() {
        let limiter = ConnectionLimiter(limit: 8)
        #expect(limiter.tryAcquire(for: 1))
        limiter.release(1)
        #expect(limiter.usage().counts.isEmpty)
        #expect(limiter.open == 0)
    }

    @Test func aLimitOfOneAdmitsOne() {
        let limiter = ConnectionLimiter(limit: 1)
        #expect(limiter.tryAcquire(for: 1))
        #expect(!limiter.tryAcquire(for: 1))
    }

    @Test(
        "ConnectionLimiter: after any number of greedy clients the next one still has a place",
        arguments: [64, 1000, 20000])
    func nextClientHasPlace(limit: Int) {
        let limiter = ConnectionLimiter(limit: limit)
        for client in 1...2 as ClosedRange<UInt64> { while limiter.tryAcquire(for: client) {} }
        #expect(limiter.tryAcquire(for: 3))
        #expect(limiter.open <= limit)
    }

    @Test(
        "ConnectionLimiter: the client with most is evicted first: its silent connections, then its idle ones, the longest first"
    )
    func order() {
        func rank(_ idleness: SocketReadiness.Idleness, of count: Int, since: UInt64 = 0) -> EvictionCandidates.Rank {
            EvictionCandidates.Rank(idleness, of: count, share: 10, since: since)
        }
        let ranks = [
            rank(.silent, of: 90, since: 1), rank(.silent, of: 90, since: 2), rank(.silent, of: 11),
            rank(.idle, of: 90, since: 1), rank(.idle, of: 90, since: 2), rank(.unfinished, of: 90),
            rank(.silent, of: 10), rank(.silent, of: 1), rank(.idle, of: 10), rank(.unfinished, of: 10),
        ]
        #expect(ranks.shuffled().sorted() == ranks)
    }

    @Test("ConnectionLimiter: an IPv6 client is its network, and an IPv4 address is one in both spellings")
    func clientsOfIPv6() {
        let network: UInt64 = 0x2001_0DB8_0000_0001
        #expect(clientNumber(network: network, host: 1) == clientNumber(network: network, host: .max))
        #expect(clientNumber(network: network, host: 1) != clientNumber(network: network + 1, host: 1))
        #expect(clientNumber(network: 0, host: 0xFFFF_7F00_0001) == 0x7F00_0001)
    }

    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("ConnectionLimiter: a new connection gets the place of a silent one of another loop")
    func placesOfOtherLoops() throws {
        let limiter = ConnectionLimiter(limit: 4)
        let (full, empty) = (try TestServer(limiter: limiter), try TestServer(limiter: limiter))
        defer {
            full.stop()
            empty.stop()
        }
        let silent = try (0..<4).map { _ in try TestClient(port: full.port) }
        try waitUntil { limiter.open == 4 }
        let newcomer = try TestClient(port: empty.port, from: 2)
        newcomer.send(get)
        newcomer.expect(response(200, "GET /"))
        #expect(limiter.open == 4)
        silent[0].expectEnd()
        // Who has its share already does not get more of it from other loops.
        let second = try TestClient(port: empty.port, from: 2)
        second.send(get)
        second.expect(response(200, "GET /"))
        let third = try TestClient(port: empty.port, from: 2)
        third.send(get)
        if case .bytes = third.receive() { Issue.record("more connections are open than the limit") }
        #expect(limiter.open == 4)
    }

    @Test(
        "ConnectionLimiter: if no connection can be closed the new one is, and the next place that becomes free is free"
    )
    func nobodyCanGo() throws {
        let limiter = ConnectionLimiter(limit: 2)
        let (full, empty) = (try TestServer(limiter: limiter), try TestServer(limiter: limiter))
        defer {
            full.stop()
            empty.stop()
        }
        var busy: [TestClient] = []
        for _ in 0..<2 {
            let client = try TestClient(port: full.port)
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
            busy.append(client)
        }
        try full.wait(for: "piece he", count: 2)
        let newcomer = try TestClient(port: empty.port, from: 2)
        newcomer.send(get)
        if case .bytes = newcomer.receive() { Issue.record("a third was served") }
        #expect(limiter.open == 2)
        busy.removeLast()
        try full.wait(for: "over")
        let next = try TestClient(port: empty.port, from: 2)
        next.send(get)
        next.expect(response(200, "GET /"))
    }

    @Test(
        "ConnectionLimiter: connections with unfinished heads and unwanted bodies are closed for new ones",
        arguments: [true, false])
    func unfinished(isHead: Bool) throws {
        let limiter = ConnectionLimiter(limit: 2)
        let server = try TestServer(
            limiter: limiter,
            respond: { server, connection in
                if isHead { return await server.echo(&connection) }
                connection.respond(401, "no", discardsBody: true)
                await connection.discardBody()
            })
        defer { server.stop() }
        var slow: [TestClient] = []
        for _ in 0..<2 {
            let client = try TestClient(port: server.port)
            client.send(isHead ? get + "GET / HT" : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
            client.expect(isHead ? response(200, "GET /") : response(401, "no"))
            slow.append(client)
        }
        let newcomer = try TestClient(port: server.port, from: 2)
        newcomer.send(get)
        newcomer.expect(isHead ? response(200, "GET /") : response(401, "no"))
        slow[0].expectEnd()
        #expect(limiter.open <= 2)
    }
}
