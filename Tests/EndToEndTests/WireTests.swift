import Foundation
import JSON
import Testing

extension EndToEnd {
    @Suite("Requests on one connection")
    struct WireTests {
        @Test("Client connection: pipelined requests are answered in their order, also when one waits for the disk")
        func pipelining() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let update = #"{"state":{"users":{"cursor":"2024-06-15T10:05:00Z"}},"state_type":"stream"}"#
                let requests = [
                    request("GET", "\(Path.jobs)/job_1"), request("PATCH", Path.state, body: update),
                    request("GET", Path.state), request("HEAD", Path.state), request("GET", "/nowhere"),
                    request("POST", Path.jobs, body: trigger()), request("GET", Path.state, token: nil),
                    request("GET", Path.jobs),
                ]
                try client.send(requests.joined())
                try client.answer().expectError(404, "CONNECTOR_JOB_NOT_FOUND")
                let updated = try client.answer()
                #expect(updated.status == 200, "\(updated.text)")
                let read = try client.answer()
                #expect(read.body == updated.body)
                let head = try client.answer(hasBody: false)
                #expect(head["content-length"] == "\(read.body.count)")
                try client.answer().expectError(404, "NOT_FOUND")
                let job = try #require(try client.answer().json("job_id")?.string)
                try client.answer().expectError(401, "AUTHENTICATION_REQUIRED")
                let list = try client.answer()
                #expect(try list.json("data")?.array?.first?["job_id"]?.string == job)
            }
        }

        @Test("Client connection: a client may change its keys now and then; one that does nothing else is cut")
        func keyUpdates() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<100 {
                    for _ in 0..<4 { try client.updateKeys() }
                    #expect(try client.call("GET", Path.state).status == 200)
                }
                #expect(throws: TLSClient.Broken.self) {
                    for _ in 0..<100_000 { try client.updateKeys() }
                }
                #expect(try TLSClient(gateway).call("GET", Path.state).status == 200)
            }
        }

        @Test("Client connection: hundreds of pipelined requests all get their responses")
        func manyPipelined() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                try client.send((0..<300).map { request("GET", "\(Path.jobs)/job_\($0)?n=\($0)") }.joined())
                for _ in 0..<300 { try client.answer().expectError(404, "CONNECTOR_JOB_NOT_FOUND") }
                #expect(try client.call("GET", Path.state).status == 200)
            }
        }

        @Test("Client connection: a request in single bytes is a request")
        func singleBytes() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for byte in request("POST", Path.jobs, body: trigger(connection: "conn_absent")).utf8 {
                    try client.send([byte])
                }
                try client.answer().expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND")
            }
        }

        @Test("Client connection: a client that expects 100 Continue gets it before it sends its body")
        func expectContinue() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let body = #"{"streams":["nothing"]}"#
                let length = "Content-Length: \(body.utf8.count)"
                for _ in 0..<2 {
                    try client.send(request("POST", Path.refresh, length, "Expect: 100-continue"))
                    #expect(try client.answer().status == 100)
                    try client.send(body)
                    try client.answer().expectError(422, "VALIDATION_ERROR", closes: false)
                }
                let answer = try gateway.curl(
                    Path.refresh, "-H", "Expect: 100-continue", "--expect100-timeout", "15", "-d", body)
                try answer.expectError(422, "VALIDATION_ERROR")
            }
        }

        @Test(
            "Client connection: a request that its head decides gets its response at once, without 100 Continue",
            arguments: [
                (Path.refresh, TestPolicies.Token?.none, 20, 401), (Path.refresh, .reader, 20, 403),
                ("/nowhere", .full, 20, 404), (Path.refresh, .full, 100_000_000, 413),
            ])
        func expectRefused(path: String, token: TestPolicies.Token?, length: Int, status: Int) async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let fields = ["Content-Length: \(length)", "Expect: 100-continue"]
                try client.send(request("POST", path, fields[0], fields[1], token: token))
                let answer = try client.answer()
                #expect(answer.status == status, "\(answer.text)")
                // Whether a body follows is unknown, so no other request can.
                #expect(answer.closes)
                try client.expectEnd()
            }
        }

        @Test("Client connection: a rate limit refuses before the body is requested")
        func expectLimited() async throws {
            var setup = GatewaySetup()
            setup.limits = #"starts: { on: ["trigger"], per: "token", allow: "1/day" },"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                _ = try client.startJob()
                try client.send(request("POST", Path.jobs, "Content-Length: 20", "Expect: 100-continue"))
                try client.answer().expectError(429, "RATE_LIMIT_EXCEEDED", closes: true)
            }
        }

        @Test("Client connection: a chunked body is read with its extensions, and its trailers are dropped")
        func chunked() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let body = trigger(connection: "conn_absent")
                let size = String(body.utf8.count, radix: 16)
                for chunks in [
                    "\(size)\r\n\(body)\r\n0\r\n\r\n", "\(size.uppercased());a=b;c=\"d e\"\r\n\(body)\r\n000\r\n\r\n",
                    "\(size)\r\n\(body)\r\n0\r\nX-Trailer: y\r\nContent-Length: 7\r\nAuthorization: Bearer x\r\n\r\n",
                    body.utf8.map { "1\r\n\(Character(UnicodeScalar($0)))\r\n" }.joined() + "0\r\n\r\n",
                ] {
                    try client.send(request("POST", Path.jobs, "Transfer-Encoding: chunked") + chunks)
                    try client.answer().expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND", closes: false)
                }
                try gateway.curl(
                    Path.jobs, "-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json", "-d", body
                )
                .expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND")
            }
        }

        @Test("Client connection: an unread body is not parsed as the next request")
        func unreadBody() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let hidden = request("DELETE", "/hidden")
                let chunks = "\(String(hidden.utf8.count, radix: 16))\r\n\(hidden)\r\n0\r\n\r\n"
                for request in [
                    request("POST", Path.refresh, token: nil, body: hidden),
                    request("POST", Path.refresh, "Transfer-Encoding: chunked", token: nil) + chunks,
                ] {
                    try client.send(request + EndToEndTests.request("GET", Path.state))
                    try client.answer().expectError(401, "AUTHENTICATION_REQUIRED", closes: false)
                    #expect(try client.answer().status == 200)
                }
            }
        }

        @Test("Client connection: HEAD has the fields of GET and no body")
        func head() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let get = try client.call("GET", Path.state)
                let head = try client.call("HEAD", Path.state)
                #expect(head.status == 200)
                #expect(head["content-length"] == get["content-length"])
                #expect(try client.call("HEAD", "/").status == 204)
                let missing = try client.call("HEAD", "/nowhere")
                #expect(missing.status == 404)
                #expect(try client.call("GET", Path.state).body == get.body)
                #expect(try gateway.curl(Path.state, "-I").status == 200)
            }
        }

        @Test("Client connection: OPTIONS is answered without a credential")
        func options() async throws {
            try await withGateway { gateway in
                let answer = try gateway.curl(Path.state, "-X", "OPTIONS", token: nil)
                #expect(answer.status == 204)
                for method in ["GET", "HEAD", "PATCH", "OPTIONS"] {
                    #expect(answer["allow"]?.contains(method) == true, "\(answer["allow"] ?? "")")
                }
                let refused = try gateway.curl(Path.run, "-X", "DELETE", token: nil)
                #expect([401, 405].contains(refused.status), "\(refused.text)")
            }
        }

        @Test("Client connection: HTTP/1.0 closes after the response, unless the client asked for keep-alive")
        func http10() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for _ in 0..<2 {
                    try client.send(request("GET", Path.state, "Connection: keep-alive", version: "HTTP/1.0"))
                    let kept = try client.answer()
                    #expect(kept.status == 200 && kept["connection"] == "keep-alive")
                }
                try client.send(request("GET", Path.state, version: "HTTP/1.0"))
                let last = try client.answer()
                #expect(last.status == 200 && last["content-length"] != nil && last["transfer-encoding"] == nil)
                try client.expectEnd()
                #expect(try gateway.curl(Path.state, "--http1.0").status == 200)
            }
        }

        @Test("Connection: close closes, and Connection: close in the answer is kept")
        func close() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state, "Connection: close") + request("GET", Path.state))
                #expect(try client.answer().closes)
                try client.expectEnd()
            }
        }

        @Test("Client connection: a client that has finished sending still gets its responses")
        func halfClose() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                try client.send(request("POST", Path.jobs, body: trigger()) + request("GET", Path.state))
                client.finishSending()
                #expect(try client.answer().status == 200)
                #expect(try client.answer().status == 200)
                try client.expectEnd()
            }
        }

        @Test("Client connection: the absolute form of a target is understood")
        func absoluteForm() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                #expect(try client.call("GET", "https://localhost:\(gateway.port)\(Path.state)").status == 200)
                #expect(try client.call("POST", "https://localhost\(Path.run)").status == 200)
            }
        }
    }
}
