import Glibc
import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("The loop of requests on a connection")
struct RequestLoopTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"

    /// Answers reads at hand, and all else in a task.
    private func server(
        _ settings: Listener.Settings = .init(), limiter: ConnectionLimiter? = nil, text: String = "ok"
    ) throws -> TestServer {
        try TestServer(
            settings, limiter: limiter,
            tryRespond: { server, connection in
                guard connection.currentRequest.head.method == .get else { return false }
                server.tell(unsafe withUnsafeCurrentTask { unsafe $0 == nil } ? "without a task" : "in a task")
                connection.respond(200, text)
                return true
            })
    }

    private func waitUntilParked(_ server: TestServer, count: Int = 1) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try await server.loop.run({ $0.parkedForTest }) != count {
            try #require(ContinuousClock.now < deadline, "the connections were not parked")
        }
    }

    @Test("RequestLoop: reads at hand are answered without a task, before and after a request that needs one")
    func reads() async throws {
        let server = try server()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        try await waitUntilParked(server)
        for _ in 0..<2 {
            client.send(get)
            client.expect(response(200, "ok"))
            try await waitUntilParked(server)
            client.send(post)
            client.expect(response(200, "POST /\nhello"))
            try await waitUntilParked(server)
        }
        #expect(server.told.filter { $0.contains("task") } == ["without a task", "without a task"])
    }

    @Test("RequestLoop: a read that comes in two pieces is one request, answered without a task")
    func splitHead() async throws {
        let server = try server()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        try await waitUntilParked(server)
        let unused = try await server.loop.run { $0.buffers.unusedForTest }
        client.send(String(get.prefix(9)))
        // Once the first piece was read, the connection holds a buffer, and is parked all the same.
        let deadline = ContinuousClock.now + .seconds(20)
        while try await server.loop.run({ $0.buffers.unusedForTest }) >= unused {
            try #require(ContinuousClock.now < deadline, "the first piece was not read")
        }
        try await waitUntilParked(server)
        client.send(String(get.dropFirst(9)))
        client.expect(response(200, "ok"))
        try await waitUntilParked(server)
        #expect(try await server.loop.run { $0.buffers.unusedForTest } == unused)
        #expect(server.told == ["without a task"])
    }

    @Test("RequestLoop: pipelined reads are answered in order and together, without a task")
    func pipelined() async throws {
        let server = try server()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        // The task of the handshake answers what has arrived by its end.
        try await waitUntilParked(server)
        client.send(get + get + get)
        let expected = String(repeating: response(200, "ok"), count: 3)
        #expect(client.receive() == .bytes(Array(expected.utf8)))
        #expect(server.told == ["without a task", "without a task", "without a task"])
    }

    @Test("RequestLoop: a request that needs a task does not delay the response to the read before it")
    func mixed() throws {
        let server = try server()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get + post.dropLast(2))
        client.expect(response(200, "ok"))
        client.send(post.suffix(2) + get)
        client.expect(response(200, "POST /\nhello") + response(200, "ok"))
    }

    @Test("RequestLoop: a client of HTTP/1.0 gets its response and the end of the connection")
    func oldVersion() async throws {
        let server = try server()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        try await waitUntilParked(server)
        client.send("GET / HTTP/1.0\r\n\r\n")
        client.expect(response(200, "ok", closes: true))
        client.expectEnd()
        client.finishSending()
        try server.wait(for: "over")
        #expect(server.told == ["without a task", "over"])
    }

    @Test("RequestLoop: a response that the client takes slowly is sent to its end, and the connection goes on")
    func slowReader() async throws {
        let text = String((0..<4_000_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        let server = try server(text: text)
        defer { server.stop() }
        let client = try TestClient(port: server.port, receiveBytes: 4096)
        try await waitUntilParked(server)
        for _ in 0..<2 {
            client.send(get)
            client.expect(response(200, text))
            try await waitUntilParked(server)
        }
        #expect(server.told == ["without a task", "without a task"])
    }

    enum End: CaseIterable { case idleTimeout, peer, drain, eviction, loop }

    @Test("RequestLoop: a parked connection ends in order", arguments: End.allCases, [true, false])
    func ends(end: End, afterRead: Bool) async throws {
        var settings = Listener.Settings()
        if end == .idleTimeout { settings.timeouts.idle = .milliseconds(100) }
        let limiter = ConnectionLimiter(limit: 1)
        let server = try server(settings, limiter: limiter)
        defer { if end != .loop { server.stop() } }
        let client = try TestClient(port: server.port)
        if afterRead {
            client.send(get)
            client.expect(response(200, "ok"))
        }
        if end != .idleTimeout { try await waitUntilParked(server) }
        switch end {
        case .idleTimeout: break
        case .peer: client.finishSending()
        case .drain: try await server.loop.run { $0.interruptIdle() }
        case .eviction:
            let newcomer = try TestClient(port: server.port, from: 2)
            newcomer.send(get)
            newcomer.expect(response(200, "ok"))
        case .loop: try await server.loop.stop()
        }
        client.expectEnd()
        try server.wait(for: "over")
        try waitUntil { limiter.open == 0 }
    }

    @Test("RequestLoop: in a drain, a new connection without a request ends soon, and one with a request is served")
    func lateInDrain() async throws {
        let server = try server()
        defer { server.stop() }
        server.isStopping = true
        let silent = try TestClient(port: server.port)
        try await waitUntilParked(server)
        let client = try TestClient(port: server.port)
        try await waitUntilParked(server, count: 2)
        client.send(get)
        client.expect(response(200, "ok"))
        client.expectEnd()
        silent.expectEnd()
        try server.wait(for: "over", count: 2)
    }

    @Test(
        "RequestLoop: one that always has more to read waits for its turn without a task, and others have theirs")
    func turns() async throws {
        let count = 20_000
        let isOver = Mutex(false)
        let server = try TestServer(tryRespond: { server, connection in
            guard connection.currentRequest.text(connection.currentRequest.head.path) == "/many" else {
                server.tell("other")
                connection.respond(200, "other")
                return true
            }
            server.tell(unsafe withUnsafeCurrentTask { unsafe $0 == nil } ? "without a task" : "in a task")
            // It takes long for as long as the other client waits.
            let until = Instant.now() + .microseconds(100)
            while Instant.now() < until, !isOver.withLock({ $0 }) {}
            connection.respond(200, "ok")
            return true
        })
        defer { server.stop() }
        let many = try TestClient(port: server.port)
        try await waitUntilParked(server)
        let responses = Background { [expected = count * response(200, "ok").utf8.count] in
            many.receive(exactly: expected).count == expected
        }
        let sender = Background {
            for _ in 0..<count / 100 {
                many.send(String(repeating: "GET /many HTTP/1.1\r\nHost: a\r\n\r\n", count: 100))
            }
        }
        try server.wait(for: "without a task")
        let other = try TestClient(port: server.port)
        other.send(get)
        other.expect(response(200, "other"))
        #expect(server.told.prefix { $0 != "other" }.count < count)
        #expect(!server.told.contains("in a task"))
        isOver.withLock { $0 = true }
        try sender.value()
        #expect(try responses.value())
    }
}
