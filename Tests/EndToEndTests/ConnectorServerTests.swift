import ConnectorServer
import Foundation
import Glibc
import JSON
import TestSupport
import Testing
import Transport

@testable import GatewayCommand

extension EndToEnd {
    @Suite("The connector service alone: bytes and connections")
    struct ConnectorServerTests {
        @Test("ConnectorServer: pipelined requests are answered in their order, also when one waits for the disk")
        func pipelining() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                let update = #"{"state":{"users":{"cursor":"2024-06-15T10:05:00Z"}},"state_type":"stream"}"#
                let requests = [
                    request("GET", "\(Path.jobs)/job_1"), request("PATCH", Path.state, body: update),
                    request("GET", Path.state), request("HEAD", Path.state), request("GET", "/nowhere"),
                    request("POST", Path.jobs, body: trigger()), request("GET", Path.jobs),
                ]
                try client.send(requests.joined())
                try client.answer().expectError(404, "CONNECTOR_JOB_NOT_FOUND", isGateway: false)
                let updated = try client.answer()
                #expect(updated.status == 200, "\(updated.text)")
                let read = try client.answer()
                #expect(read.body == updated.body)
                #expect(read["date"]?.hasSuffix(" GMT") == true)
                let head = try client.answer(hasBody: false)
                #expect(head["content-length"] == "\(read.body.count)")
                try client.answer().expectError(404, "NOT_FOUND", isGateway: false)
                let job = try #require(try client.answer().json("job_id")?.string)
                #expect(try client.answer().json("data")?.array?.first?["job_id"]?.string == job)
            }
        }

        @Test(
            "ConnectorServer: a running job refuses a second one and a state update, and is cancelled with an empty 204"
        )
        func jobs() async throws {
            try await withConnectors(jobMilliseconds: 600_000) { connectors in
                let (client, other) = (
                    try PlainClient(port: connectors.port), try PlainClient(port: connectors.port)
                )
                let job = try client.startJob()
                let conflict = try other.call("POST", Path.jobs, body: trigger())
                try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING", closes: false, isGateway: false)
                #expect(conflict["location"] == "\(Path.jobs)/\(job)")
                #expect(conflict["retry-after"].flatMap(Int.init) ?? 0 >= 1)
                try other.call("PATCH", Path.state, body: #"{"state":{}}"#)
                    .expectError(409, "CONNECTOR_STATE_LOCKED", closes: false, isGateway: false)
                let cancel = try other.call("DELETE", "\(Path.jobs)/\(job)")
                #expect(cancel.status == 204)
                #expect(cancel["content-length"] == nil && cancel["transfer-encoding"] == nil)
                #expect(cancel["content-type"] == nil)
                // Nothing came behind the 204.
                try other.waitForEnd(of: job)
                #expect(try client.call("GET", "\(Path.jobs)/\(job)").json("status")?.string == "cancelled")
            }
        }

        @Test("ConnectorServer: a client that expects 100 Continue gets it, unless the head decides")
        func expectContinue() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                let body = #"{"streams":["nothing"]}"#
                let length = "Content-Length: \(body.utf8.count)"
                for _ in 0..<2 {
                    try client.send(request("POST", Path.refresh, length, "Expect: 100-continue"))
                    #expect(try client.answer().status == 100)
                    try client.send(body)
                    try client.answer().expectError(422, "VALIDATION_ERROR", closes: false, isGateway: false)
                }
                try client.send(request("POST", "/nowhere", length, "Expect: 100-continue"))
                // Whether a body follows is unknown, so no other request can.
                try client.answer().expectError(404, "NOT_FOUND", closes: true, isGateway: false)
                try client.expectEnd()
            }
        }

        @Test("ConnectorServer: chunked bodies are read, and unread bodies are not parsed as requests")
        func chunked() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                let body = trigger(connection: "conn_absent")
                let chunks = body.utf8.map { "1;a=b\r\n\(Character(UnicodeScalar($0)))\r\n" }.joined()
                try client.send(request("POST", Path.jobs, "Transfer-Encoding: chunked") + chunks + "0\r\nX: y\r\n\r\n")
                try client.answer()
                    .expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND", closes: false, isGateway: false)
                for (method, path, status) in [("POST", "/nowhere", 404), ("GET", Path.state, 200)] {
                    try client.send(request(method, path, body: request("DELETE", "/hidden")))
                    #expect(try client.answer().status == status)
                    #expect(try client.call("GET", Path.state).status == 200)
                }
            }
        }

        /// The answer to a state update whose body has that many bytes.
        private func update(_ bytes: Int, isChunked: Bool, at connectors: TestConnectors) throws -> Answer {
            let client = try PlainClient(port: connectors.port)
            let text = #"{"state":{},"state_type":"stream"}"#
            let body = text + String(repeating: " ", count: bytes - text.utf8.count)
            if isChunked {
                let chunks = "\(String(bytes, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
                try client.send(request("PATCH", Path.state, "Transfer-Encoding: chunked") + chunks)
            } else {
                try client.send(request("PATCH", Path.state, body: body))
            }
            let answer = try client.answer()
            if answer.closes { try client.expectEnd() }
            return answer
        }

        @Test("ConnectorServer: a body up to the limit is read, a longer one refused", arguments: [false, true])
        func largeBody(isChunked: Bool) async throws {
            try await withConnectors { connectors in
                let limit = 10 << 20
                #expect(try update(limit, isChunked: isChunked, at: connectors).status == 200)
                try update(limit + 1, isChunked: isChunked, at: connectors)
                    .expectError(413, "PAYLOAD_TOO_LARGE", closes: true, isGateway: false)
            }
        }

        @Test("ConnectorServer: bodies beyond the shared memory get 503, and memory is released afterwards")
        func bodyMemory() async throws {
            try await withConnectors({ $0.bodyMemoryBytes = 90_000 }) { connectors in
                for isChunked in [false, true, false, true] {
                    let busy = try update(100_000, isChunked: isChunked, at: connectors)
                    try busy.expectError(503, "SERVICE_UNAVAILABLE", isGateway: false)
                    #expect(busy["retry-after"].flatMap(Int.init) ?? 0 >= 1)
                    // A response may be read before its request has given its memory back.
                    try waitUntil("the memory is given back") {
                        try update(60_000, isChunked: isChunked, at: connectors).status == 200
                    }
                }
            }
        }

        @Test(
            "ConnectorServer: an ambiguous request gets one error, and ends the connection",
            arguments: 0..<MalformedTests.smuggling.count)
        func smuggled(index: Int) async throws {
            let (name, bytes, status) = MalformedTests.smuggling[index]
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                #expect(try client.call("GET", Path.state).status == 200)
                try client.send(bytes + request("GET", Path.jobs))
                let answer = try client.answer()
                #expect(answer.status == status, "\(name): \(answer.text)")
                try answer.expectError(
                    status, answer.json("error", "code")?.string ?? "", closes: true, isGateway: false)
                try client.expectEnd()
                let fresh = try PlainClient(port: connectors.port)
                #expect(try fresh.call("GET", Path.jobs).json("total")?.integer == 0)
            }
        }

        @Test("ConnectorServer: a head as long as a gateway may make it is read, a longer one is refused")
        func longHeads() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                try client.send(request("GET", Path.state, "X: \(String(repeating: "x", count: 24_000))"))
                #expect(try client.answer().status == 200)
                try client.send(request("GET", Path.state, "X: \(String(repeating: "x", count: 40_000))"))
                try client.answer()
                    .expectError(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", closes: true, isGateway: false)
                try client.expectEnd()
            }
        }

        @Test("ConnectorServer: an unfinished request gets 408, and an idle connection is closed without a response")
        func deadlines() async throws {
            try await withConnectors({ options in
                options.timeouts = ServerTimeouts(
                    head: .milliseconds(200), body: .milliseconds(200), idle: .milliseconds(200))
            }) { connectors in
                for part in [
                    "GET \(Path.state) HTTP/1.1\r\nHost: ",
                    String(request("POST", Path.jobs, body: trigger()).dropLast(5)),
                ] {
                    let client = try PlainClient(port: connectors.port)
                    try client.send(part)
                    try client.answer().expectError(408, "REQUEST_TIMEOUT", closes: true, isGateway: false)
                    try client.expectEnd()
                }
                let client = try PlainClient(port: connectors.port)
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 0)
                try client.expectEnd()
            }
        }

        @Test("ConnectorServer: HTTP/1.0 closes after the response, unless the client asked for keep-alive")
        func http10() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                try client.send(request("GET", Path.state, "Connection: keep-alive", version: "HTTP/1.0"))
                #expect(try client.answer()["connection"] == "keep-alive")
                try client.send(request("GET", Path.state, version: "HTTP/1.0"))
                #expect(try client.answer().closes)
                try client.expectEnd()
            }
        }

        @Test("ConnectorServer: a drain lets requests in flight finish, closes idle connections and refuses new ones")
        func drain() async throws {
            try await withConnectors { connectors in
                let busy = try PlainClient(port: connectors.port)
                let length = "Content-Length: \(trigger().utf8.count)"
                try busy.send(request("POST", Path.jobs, length, "Expect: 100-continue"))
                // From here on the request is in flight.
                #expect(try busy.answer().status == 100)
                let idle = try PlainClient(port: connectors.port)
                #expect(try idle.call("GET", Path.state).status == 200)
                // Some of these wait to be accepted at that moment.
                let silent = try (0..<50).map { _ in try PlainClient(port: connectors.port) }
                connectors.server.beginDrain()
                for client in [idle] + silent { try client.expectEnd() }
                try waitUntil("new connections are refused") {
                    guard let descriptor = try? connectToLoopback(port: connectors.port) else { return true }
                    Glibc.close(descriptor)
                    return false
                }
                #expect(!connectors.server.isDrained)
                try busy.send(trigger())
                let answer = try busy.answer()
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.closes)
                try busy.expectEnd()
                for client in [idle, busy] + silent { client.finishSending() }
                try waitUntil("all is over") { connectors.server.isDrained }
            }
        }

        @Test("ConnectorServer: after a restart the jobs are known, and one that ran goes on to its end")
        func restart() async throws {
            try await withTestFolder { folder in
                let first = try TestConnectors(in: folder, jobMilliseconds: 600_000)
                let client = try PlainClient(port: first.port)
                let job = try client.startJob()
                await first.stop()
                let second = try TestConnectors(in: folder)
                do {
                    let client = try PlainClient(port: second.port)
                    try client.waitForEnd(of: job)
                    let list = try client.call("GET", Path.jobs)
                    #expect(try list.json("total")?.integer == 1)
                    #expect(try list.json("data")?.array?.first?["status"]?.string == "succeeded")
                } catch {
                    await second.stop()
                    throw error
                }
                await second.stop()
            }
        }
    }
}
