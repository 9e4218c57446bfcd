import Glibc
import HTTP
import TestSupport
import Testing

@testable import Transport

@Suite("A connection's deadlines and its end")
struct ServerDeadlineTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private func settings(_ change: (inout ServerTimeouts) -> Void) -> Listener.Settings {
        var timeouts = ServerTimeouts()
        change(&timeouts)
        return .init(timeouts: timeouts)
    }

    @Test(
        "ServerConnection, deadlines: a head that does not end in time is answered 408, and a drip does not prolong it")
    func slowHead() throws {
        let server = try TestServer(settings { $0.head = .milliseconds(150) })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        let start = Instant.now()
        client.send(get + "GET / HTTP/1.1\r\nX: ")
        client.expect(response(200, "GET /"))
        let dripper = Background {
            while Instant.now() < start + .seconds(20), !server.told.contains("answered") {
                client.send("x")
                usleep(2000)
            }
        }
        client.expect(response(408, "head", closes: true))
        #expect(Instant.now() >= start + .milliseconds(150))
        server.tell("answered")
        try dripper.value()
        client.finishSending()
        client.expectEnd()
        try server.wait(for: "over")
    }

    @Test("ServerConnection, deadlines: a connection without requests ends silently after its idle time")
    func idle() throws {
        let server = try TestServer(settings { $0.idle = .milliseconds(100) })
        defer { server.stop() }
        let silent = try TestClient(port: server.port)
        let client = try TestClient(port: server.port)
        client.send(get)
        client.expect(response(200, "GET /"))
        client.expectEnd()
        silent.expectEnd()
    }

    @Test("ServerConnection, deadlines: a body that stops coming is given up")
    func slowBody() throws {
        let server = try TestServer(settings { $0.body = .milliseconds(100) })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        client.expect(response(408, "body", closes: true))
        client.finishSending()
        client.expectEnd()
    }

    @Test(
        "ServerConnection, deadlines: a client that closes within its request is not answered",
        arguments: ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "GET / HTTP/1.1\r\nHo", ""])
    func closedEarly(text: String) throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(text)
        client.finishSending()
        client.expectEnd()
        try server.wait(for: "over")
        #expect(!server.told.contains("request"))
    }

    @Test("ServerConnection, deadlines: a client that has closed its side after its requests is answered all of them")
    func halfClose() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get + get)
        client.finishSending()
        client.expect(response(200, "GET /") + response(200, "GET /"))
        client.expectEnd()
    }

    @Test("ServerConnection, deadlines: a large response reaches a client that takes it slowly")
    func slowReader() throws {
        let large = String((0..<4_000_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        let server = try TestServer(respond: { server, connection in
            server.tell("sending")
            connection.respond(200, large)
            #expect(await connection.flush())
            server.tell("sent")
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port, receiveBytes: 4096)
        client.send(get)
        try server.wait(for: "sending")
        #expect(!server.told.contains("sent"))
        client.expect(response(200, large))
        client.finishSending()
        client.expectEnd()
        try server.wait(for: "over")
    }

    @Test("ServerConnection, deadlines: a client that takes nothing of a response is given up")
    func writeDeadline() throws {
        let limits = settings { $0.write = .milliseconds(100) }
        let server = try TestServer(
            limits,
            respond: { server, connection in
                connection.respond(200, String(repeating: "x", count: 20_000_000))
                server.tell(await connection.flush() ? "sent" : "given up")
            })
        defer { server.stop() }
        let client = try TestClient(port: server.port, receiveBytes: 4096)
        client.send(get)
        try server.wait(for: "given up")
        try server.wait(for: "over")
    }

    @Test("ServerConnection, deadlines: a client that is gone is noticed while it is written to")
    func goneWhileWriting() throws {
        let server = try TestServer(respond: { server, connection in
            server.tell("request")
            connection.respond(200, String(repeating: "x", count: 20_000_000))
            server.tell(await connection.flush() ? "sent" : "gone")
        })
        defer { server.stop() }
        var client: TestClient? = try TestClient(port: server.port, receiveBytes: 4096)
        client?.send(get)
        try server.wait(for: "request")
        client = nil
        try server.wait(for: "gone")
    }

    @Test("ServerConnection, deadlines: a drain ends idle connections, and lets the others finish")
    func drain() async throws {
        let server = try TestServer(respond: { server, connection in
            if connection.currentRequest.text(connection.currentRequest.head.target) == "/slow" {
                server.tell("slow")
                while !server.told.contains("drained") { await Task.yield() }
                #expect(connection.drainBegan() == .finishExchange)
            }
            connection.respond(200, "ok")
        })
        defer { server.stop() }
        let idle = try TestClient(port: server.port)
        let busy = try TestClient(port: server.port)
        idle.send(get)
        idle.expect(response(200, "ok"))
        busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        try server.wait(for: "slow")
        try await server.loop.run { $0.interruptIdle() }
        idle.expectEnd()
        server.tell("drained")
        busy.expect(response(200, "ok", closes: true))
        busy.expectEnd()
    }

    @Test(
        "ServerConnection, deadlines: a request that is here when a drain begins gets its answer, which says that it is the last"
    )
    func drainBeforePipelined() throws {
        let server = try TestServer(respond: { server, connection in
            // The first response says nothing of the drain that begins now.
            connection.respond(200, "ok")
            server.isStopping = true
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get + get)
        client.expect(response(200, "ok"))
        client.expect(response(200, "ok", closes: true))
        client.expectEnd()
    }

    @Test("ServerConnection, deadlines: an idle connection holds no buffer")
    func idleBuffer() throws {
        let server = try TestServer(respond: { server, connection in
            let loop = connection.loop
            Task(executorPreference: loop) {
                while !server.told.contains("answered") || loop.buffers.unusedForTest == 0 { await Task.yield() }
                server.tell("gave back \(loop.buffers.unusedForTest)")
            }
            await server.echo(&connection)
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get)
        client.expect(response(200, "GET /"))
        server.tell("answered")
        try server.wait(for: "gave back 1")
    }

    @Test("ServerConnection, deadlines: a listener at its limit sheds what comes, and takes more when others have gone")
    func shedding() throws {
        let server = try TestServer(.init(maximumConnections: 1))
        defer { server.stop() }
        var first: TestClient? = try TestClient(port: server.port)
        first?.send(get)
        first?.expect(response(200, "GET /"))
        let second = try TestClient(port: server.port)
        second.send(get)
        if case .bytes = second.receive() { Issue.record("two at a time were served") }
        first = nil
        try server.wait(for: "over")
        try waitUntil {
            let third = try TestClient(port: server.port)
            third.send(get)
            if case .bytes = third.receive() { return true }
            return false
        }
    }
}
