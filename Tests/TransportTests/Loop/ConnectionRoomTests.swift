import TestSupport
import Testing

@testable import Transport

@Suite struct ConnectionRoomTests {
    @Test func oneClientLeavesRoomForOthers() {
        let room = ConnectionRoom(limit: 16)
        #expect((0..<20).count { _ in room.admits(1) } == 14)
        #expect(room.admits(2))
        #expect(!room.admits(1))
        #expect(room.admits(3))
        #expect(!room.admits(4))
        #expect(room.open == 16)
    }

    @Test func whoHasMoreGivesWay() {
        let room = ConnectionRoom(limit: 8)
        for _ in 0..<7 { #expect(room.admits(1)) }
        #expect(room.admits(2))
        #expect(!room.gives(placeOf: 2, to: 1))
        #expect(room.gives(placeOf: 1, to: 1))
        #expect(room.gives(placeOf: 1, to: 3))
        #expect(room.open == 8)
        #expect(room.usage().counts == [1: 6, 2: 1, 3: 1])
    }

    @Test func aClientWithoutConnectionsIsForgotten() {
        let room = ConnectionRoom(limit: 8)
        #expect(room.admits(1))
        room.leave(1)
        #expect(room.usage().counts.isEmpty)
        #expect(room.open == 0)
    }

    @Test func aSmallRoomAdmits() {
        let room = ConnectionRoom(limit: 1)
        #expect(room.admits(1))
        #expect(!room.admits(1))
    }

    @Test(
        "ConnectionRoom: however many take all they can get, one by one, the next one has a place",
        arguments: [64, 1000, 20000])
    func roomForTheNext(limit: Int) {
        let room = ConnectionRoom(limit: limit)
        for client in 1...2 as ClosedRange<UInt64> { while room.admits(client) {} }
        #expect(room.admits(3))
        #expect(room.open <= limit)
    }

    @Test("ConnectionRoom: who has most goes first, there who is silent, then who is idle, and the longest first")
    func order() {
        func rank(_ idleness: SocketReadiness.Idleness, of count: Int, since: UInt64 = 0) -> Evictable.Rank {
            Evictable.Rank(idleness, of: count, share: 10, since: since)
        }
        let ranks = [
            rank(.silent, of: 90, since: 1), rank(.silent, of: 90, since: 2), rank(.silent, of: 11),
            rank(.idle, of: 90, since: 1), rank(.idle, of: 90, since: 2), rank(.unfinished, of: 90),
            rank(.silent, of: 10), rank(.silent, of: 1), rank(.idle, of: 10), rank(.unfinished, of: 10),
        ]
        #expect(ranks.shuffled().sorted() == ranks)
    }

    @Test("ConnectionRoom: an IPv6 client is its network, and an IPv4 address is one in both spellings")
    func clientsOfIPv6() {
        let network: UInt64 = 0x2001_0DB8_0000_0001
        #expect(clientNumber(network: network, host: 1) == clientNumber(network: network, host: .max))
        #expect(clientNumber(network: network, host: 1) != clientNumber(network: network + 1, host: 1))
        #expect(clientNumber(network: 0, host: 0xFFFF_7F00_0001) == 0x7F00_0001)
    }

    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("ConnectionRoom: a newcomer gets the place of a silent connection of another loop")
    func placesOfOtherLoops() throws {
        let room = ConnectionRoom(limit: 4)
        let (full, empty) = (try TestServer(room: room), try TestServer(room: room))
        defer {
            full.stop()
            empty.stop()
        }
        let silent = try (0..<4).map { _ in try TestClient(port: full.port) }
        try waitUntil { room.open == 4 }
        let newcomer = try TestClient(port: empty.port, from: 2)
        newcomer.send(get)
        newcomer.expect(response(200, "GET /"))
        #expect(room.open == 4)
        silent[0].expectEnd()
        // Who has its share already does not get more of it from other loops.
        let second = try TestClient(port: empty.port, from: 2)
        second.send(get)
        second.expect(response(200, "GET /"))
        let third = try TestClient(port: empty.port, from: 2)
        third.send(get)
        if case .bytes = third.receive() { Issue.record("the room has more than its limit") }
        #expect(room.open == 4)
    }

    @Test("ConnectionRoom: where nobody can go, the newcomer does, and the place of the next one to leave is free")
    func nobodyCanGo() throws {
        let room = ConnectionRoom(limit: 2)
        let (full, empty) = (try TestServer(room: room), try TestServer(room: room))
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
        #expect(room.open == 2)
        busy.removeLast()
        try full.wait(for: "over")
        let next = try TestClient(port: empty.port, from: 2)
        next.send(get)
        next.expect(response(200, "GET /"))
    }

    @Test("ConnectionRoom: heads and unwanted bodies that are never finished make room", arguments: [true, false])
    func unfinished(isHead: Bool) throws {
        let room = ConnectionRoom(limit: 2)
        let server = try TestServer(
            room: room,
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
        #expect(room.open <= 2)
    }
}
