import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("A connection's requests and responses")
struct ServerConnectionTests {
    private func get(_ target: String, _ fields: String = "") -> String {
        "GET \(target) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    }

    private func post(_ target: String, _ body: String, _ fields: String = "") -> String {
        "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }

    @Test("ServerConnection: a connection carries one request after another")
    func keepAlive() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        for number in 0..<5 {
            client.send(get("/\(number)"))
            client.expect(response(200, "GET /\(number)"))
            client.send(post("/\(number)", "body \(number)"))
            client.expect(response(200, "POST /\(number)\nbody \(number)"))
        }
        #expect(!server.told.contains("over"))
    }

    @Test("ServerConnection: a body behind a head that ends at the buffer's end does not come a byte at a time")
    func headAtTheEnd() throws {
        let pieces = Mutex(0)
        let server = try TestServer(respond: { server, connection in
            server.tell("head")
            var count = 0
            while case .bytes = await connection.nextBodyPiece() { count += 1 }
            pieces.withLock { $0 = count }
            server.tell("request")
            connection.respond(200, "ok")
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        func head(_ length: Int) -> String { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\r\n" }
        let second = head(100_000)
        // With the body before it the second head leaves one byte of the buffer.
        let length = BufferPools.largeBytes - 1 - head(30_000).utf8.count - second.utf8.count
        client.send(head(length))
        try server.wait(for: "head")
        client.send(String(repeating: "b", count: length) + second)
        try server.wait(for: "head", count: 2)
        client.send(String(repeating: "c", count: 100_000))
        try server.wait(for: "request", count: 2)
        #expect(pieces.withLock { $0 } < 100)
    }

    @Test("ServerConnection: requests that came together are answered in order and together")
    func pipelining() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send((0..<5).map { get("/\($0)") }.joined())
        let expected = (0..<5).map { response(200, "GET /\($0)") }.joined()
        #expect(client.receive() == .bytes(Array(expected.utf8)))
    }

    @Test("ServerConnection: large responses to pipelined requests do not pile up")
    func pipelinedLargeResponses() throws {
        let text = String(repeating: "x", count: 12_000)
        let server = try TestServer(respond: { server, connection in
            server.tell("held \(connection.output.count / 100_000)")
            connection.respond(200, text)
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(String(repeating: get("/"), count: 60))
        for _ in 0..<60 { client.expect(response(200, text)) }
        #expect(Set(server.told) == ["held 0"])
    }

    @Test("ServerConnection: many requests with bodies, however they are cut, are answered in order", arguments: 1...8)
    func manyRequests(seed: UInt64) throws {
        var random = SeededRandom(state: seed)
        var requests = ""
        var responses = ""
        for number in 0..<200 {
            let body = String(
                repeating: "b", count: Int.random(in: 0...3, using: &random) * Int.random(in: 1...700, using: &random))
            let fields = "X: \(String(repeating: "x", count: Int.random(in: 0...800, using: &random)))\r\n"
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                requests += get("/\(number)", fields)
                responses += response(200, "GET /\(number)")
            case 1:
                requests += post("/\(number)", body, fields)
                responses += response(200, "POST /\(number)" + (body.isEmpty ? "" : "\n") + body)
            default:
                let chunks = stride(from: 0, to: body.count, by: 300).map { min(300, body.count - $0) }
                let framed = chunks.map { "\(String($0, radix: 16));x\r\n\(String(repeating: "b", count: $0))\r\n" }
                    .joined()
                requests +=
                    "PUT /\(number) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\(fields)\r\n\(framed)0\r\nA: b\r\n\r\n"
                responses += response(200, "PUT /\(number)" + (body.isEmpty ? "" : "\n") + body)
            }
        }
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        let bytes = Array(requests.utf8)
        // Somebody must read meanwhile, or the sockets fill up in both directions.
        let received = Background { [count = responses.utf8.count] in client.receive(exactly: count) }
        var sent = 0
        while sent < bytes.count {
            let count = min(
                bytes.count - sent, Int.random(in: 1...Int.random(in: 2...9000, using: &random), using: &random))
            client.send(Array(bytes[sent..<sent + count]))
            sent += count
        }
        let isEqual = try received.value() == Array(responses.utf8)
        #expect(isEqual)
        #expect(server.told.count { $0 == "request" } == 200)
    }

    @Test("ServerConnection: a response does not wait for the body of the request behind it")
    func responseBeforeNextBody() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get("/1") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        client.expect(response(200, "GET /1"))
        client.send("dy")
        client.expect(response(200, "POST /2\nbody"))
    }

    @Test("ServerConnection: the pieces of a chunked body arrive as they are sent")
    func chunkedPieces() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        try server.wait(for: "piece one")
        client.send("5;ext=\"a b\"\r\ntw")
        try server.wait(for: "piece tw")
        client.send("ooo\r\n0\r\nTrailer: dropped\r\n\r\n" + get("/next"))
        client.expect(response(200, "POST /\nonetwooo") + response(200, "GET /next"))
        #expect(server.told.prefix(3) == ["piece one", "piece tw", "piece ooo"])
    }

    @Test(
        "ServerConnection: a large body passes through a small buffer",
        arguments: ["Content-Length: 300000", "Transfer-Encoding: chunked"])
    func largeBody(framing: String) throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        let body = String((0..<300_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        client.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        client.send(framing.hasPrefix("C") ? body : "493e0\r\n\(body)\r\n0\r\n\r\n")
        client.expect(response(200, "POST /\n" + body))
        client.send(get("/next"))
        client.expect(response(200, "GET /next"))
    }

    private final class Turns: Sendable {
        let taken = Atomic(0)
    }

    @Test("ServerConnection: a body that is at hand in many pieces lets other tasks have their turns")
    func turnsWithinABody() throws {
        let server = try TestServer(respond: { server, connection in
            let turns = Turns()
            var pieces = 0
            var atFirst = 0
            while case .bytes = await connection.nextBodyPiece() {
                if pieces == 0 {
                    // What it does costs nothing: it counts how often it is let.
                    Task(executorPreference: connection.loop) {
                        while turns.taken.add(1, ordering: .relaxed).newValue < 100 { await Task.yield() }
                    }
                }
                pieces += 1
                let until = Instant.now() + .microseconds(50)
                while Instant.now() < until {}
                // No read of the socket comes between the first pieces.
                if pieces == 400 { atFirst = turns.taken.load(ordering: .relaxed) }
            }
            turns.taken.store(100, ordering: .relaxed)
            server.tell("pieces \(pieces)")
            if atFirst > 2 { server.tell("turns") }
            connection.respond(200, "")
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + String(repeating: "1\r\nx\r\n", count: 500) + "0\r\n\r\n")
        client.expect(response(200, ""))
        #expect(server.told.contains("pieces 500"))
        #expect(server.told.contains("turns"))
    }

    @Test("ServerConnection: a client that asks is told to send its body, and one that has begun is not")
    func expectContinue() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        let request = post("/", "hello", "Expect: 100-continue\r\n")
        client.send(String(request.dropLast(5)))
        client.expect("HTTP/1.1 100 Continue\r\n\r\n")
        client.send("hello")
        client.expect(response(200, "POST /\nhello"))
        client.send(request)
        client.expect(response(200, "POST /\nhello"))
        client.send(get("/", "Expect: 100-continue\r\n"))
        client.expect(response(200, "GET /"))
    }

    @Test("ServerConnection: a final answer without reading the body comes at once, and is the last one")
    func answerBeforeBody() throws {
        let server = try TestServer(respond: { server, connection in
            let canDiscard = connection.canDiscardBody
            #expect(!canDiscard)
            connection.respond(401, "no")
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        client.expect(response(401, "no", closes: true))
        client.expectEnd()
    }

    @Test(
        "ServerConnection: a small body that nobody wants is read away, a large one ends the connection",
        arguments: [(100, false), (65536, false), (65537, true)])
    func unwantedBody(length: Int, closes: Bool) throws {
        let server = try TestServer(respond: { _, connection in
            let isDiscarded = connection.canDiscardBody
            connection.respond(403, "no", discardsBody: isDiscarded)
            if isDiscarded { await connection.discardBody() }
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        let request = post("/", String(repeating: "b", count: length))
        client.send(String(request.dropLast(length)))
        // The answer does not wait for the body.
        client.expect(response(403, "no", closes: closes))
        client.send(String(request.suffix(length)))
        if closes {
            client.finishSending()
            client.expectEnd()
        } else {
            client.send(get("/"))
            client.expect(response(403, "no"))
        }
    }

    @Test("ServerConnection: a request split over many packets is one request")
    func byteByByte() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        for byte in post("/slow", "hello").utf8 { client.send([byte]) }
        client.expect(response(200, "POST /slow\nhello"))
    }

    @Test("ServerConnection: after the last request the connection ends", arguments: ["Connection: close\r\n", ""])
    func lastRequest(field: String) throws {
        let server = try TestServer(.init(maximumRequestsPerConnection: field.isEmpty ? 1 : 100))
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get("/1", field) + get("/2"))
        client.expect(response(200, "GET /1", closes: true))
        client.expectEnd()
    }

    @Test("ServerConnection: what is no request is answered, and ends the connection without a reset")
    func malformed() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get("/1") + "GET / HTTP/1.1\nHost: a\r\n\r\n" + String(repeating: "junk", count: 50_000))
        client.expect(response(200, "GET /1") + response(400, "invalidVersion(at: 14)", closes: true))
        client.finishSending()
        client.expectEnd()
    }

    @Test("ServerConnection: a client that has sent more than was read, and has closed its side, is not reset either")
    func malformedAndClosed() throws {
        let server = try TestServer(respond: { server, connection in
            while !server.told.contains("closed") { await Task.yield() }
            // A few turns of the loop, in which it sees that the client has closed.
            for _ in 0..<100 { await Task.yield() }
            connection.respond(200, "")
        })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(get("/") + "GET / HTTP/1.1\n" + String(repeating: "junk", count: 25_000))
        client.finishSending()
        server.tell("closed")
        client.expect(response(200, "") + response(400, "invalidVersion(at: 14)", closes: true))
        client.expectEnd()
    }

    @Test("ServerConnection: a chunked body that is none is answered, and ends the connection")
    func malformedBody() throws {
        let server = try TestServer()
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n" + get("/smuggled"))
        client.expect(response(400, "invalidChunkEnd", closes: true))
        client.finishSending()
        client.expectEnd()
        #expect(!server.told.contains("request"))
    }
}
