import Gateway
import TestSupport
import Testing

extension EndToEnd {
    /// Answers of a remote upstream on their way to the client.
    @Suite("Responses of a remote upstream")
    struct RemoteAnswerTests {
        @Test(
            "Remote response: the head of a success is relayed byte for byte, except the fields of the connection and of the gateway"
        )
        func golden() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                try peer.send(
                    """
                    HTTP/1.1 200 Fine  thing\r
                    date: Tue, 15 Nov 1994 08:12:31 GMT\r
                    CONTENT-type:   text/plain ; charset=x\t\r
                    Connection: x-hop\r
                    X-Hop: gone\r
                    Keep-Alive: timeout=5\r
                    Set-Cookie: a=1\r
                    Set-Cookie: b=2\r
                    X-Trace-Id: theirs\r
                    X-RateLimit-Limit: 7\r
                    Content-Length: 3\r
                    \r
                    abc
                    """)
                let head = try client.text(upTo: "\r\n\r\n")
                let trace = try #require(head.firstRange(of: "X-Trace-Id: ")?.upperBound)
                let id = head[trace...].prefix(32)
                #expect(
                    head == """
                        HTTP/1.1 200 Fine  thing\r
                        date: Tue, 15 Nov 1994 08:12:31 GMT\r
                        CONTENT-type:   text/plain ; charset=x\t\r
                        Set-Cookie: a=1\r
                        Set-Cookie: b=2\r
                        X-RateLimit-Limit: 7\r
                        Content-Length: 3\r
                        X-Policy-Version: \(gateway.policyVersion)\r
                        X-Trace-Id: \(id)\r
                        \r

                        """)
                #expect(try client.text(upTo: "abc") == "abc")
            }
        }

        @Test("Remote response: responses without a body keep the connections on both sides open")
        func bodiless() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("HEAD", Path.state))
                let (peer, head) = try upstream.acceptRequest()
                #expect(head.method == "HEAD")
                try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
                let headAnswer = try client.answer(hasBody: false)
                #expect(headAnswer["content-length"] == "5000")
                for status in [204, 304] {
                    try client.send(request("GET", Path.state))
                    _ = try peer.request()
                    try peer.send("HTTP/1.1 \(status) X\r\nETag: \"a\"\r\n\r\n")
                    let answer = try client.answer(hasBody: false)
                    #expect(answer.status == status)
                    #expect(answer["etag"] == "\"a\"")
                    #expect(answer["content-length"] == nil)
                }
                try client.send(request("GET", Path.state))
                _ = try peer.request()
                try peer.send(answer(200, body: ""))
                #expect(try client.answer()["content-length"] == "0")
                #expect(upstream.isLeftAlone, "one connection carries them all")
            }
        }

        @Test(
            "Remote response: chunks are relayed as chunks, with permitted trailers, and to HTTP/1.0 until the connection ends"
        )
        func chunked() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                let chunks = "3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"
                try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
                #expect(try client.text(upTo: "\r\n\r\n").contains("Transfer-Encoding: chunked\r\n"))
                let body = try client.text(upTo: "\r\n0\r\nX-Sum: 1\r\n\r\n")
                #expect(body.contains("abc"))
                #expect(body.contains("0123456789abcdef"))
                try client.send(request("GET", Path.state, version: "HTTP/1.0"))
                _ = try peer.request()
                try peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
                let head = try client.text(upTo: "\r\n\r\n")
                #expect(!head.contains("Transfer-Encoding"))
                #expect(head.contains("Connection: close"))
                _ = try client.text(upTo: "abc0123456789abcdef")
                try client.expectEnd()
            }
        }

        @Test(
            "Remote response: a body that ends with the upstream's connection becomes chunks; one that is cut short is cut for the client"
        )
        func untilClose() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                var peer = try upstream.acceptRequest().peer
                try peer.send("HTTP/1.1 200 OK\r\n\r\nabc")
                _ = try client.text(upTo: "3\r\nabc\r\n")
                peer.close()
                _ = try client.text(upTo: "0\r\n\r\n")
                try client.send(request("GET", Path.state))
                peer = try upstream.acceptRequest().peer
                try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
                _ = try client.text(upTo: "abc")
                peer.close()
                // No end in order: the client must see that the answer is not whole.
                #expect(throws: TLSClient.Broken.self) { while try client.receive() {} }
            }
        }

        @Test("Remote response: a slow reader holds the upstream back, and gets every byte")
        func slowReader() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                let size = 64 << 20
                try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
                let sent = peer.sendUntilStuck(7, atMost: size)
                #expect(sent < 32 << 20, "\(sent) bytes are under way, and nobody reads them")
                _ = try client.text(upTo: "\r\n\r\n")
                var count = 0
                while count < sent {
                    count += client.received.count
                    #expect(client.received.allSatisfy { $0 == 7 })
                    client.received = []
                    if count < sent { #expect(try client.receive()) }
                }
                #expect(count == sent)
            }
        }

        @Test("Remote response: interim responses come before the final one, but not for HTTP/1.0")
        func interim() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                for version in ["HTTP/1.1", "HTTP/1.0"] {
                    try client.send(request("GET", Path.state, "Connection: keep-alive", version: version))
                    let peer = try upstream.acceptRequest().peer
                    try peer.send(
                        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n"
                    )
                    if version == "HTTP/1.1" {
                        #expect(try client.text(upTo: "\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                    }
                    try peer.send(answer(200, "Connection: close"))
                    #expect(try client.answer().status == 200)
                }
            }
        }

        @Test("Remote response: pipelined requests are answered in their order")
        func pipeline() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                let count = 20
                try client.send((0..<count).map { request("GET", "\(Path.base)/things/\($0)") }.joined())
                let peer = try upstream.accept()
                for index in 0..<count {
                    let request = try peer.request()
                    #expect(request.target.hasSuffix("/\(index)"))
                    #expect(peer.received.isEmpty, "nothing is pipelined to the upstream")
                    try peer.send(answer(body: "\(index)"))
                }
                for index in 0..<count { #expect(try client.answer().text == "\(index)") }
            }
        }

        @Test(
            "Remote response: a client that disconnects cancels its request, before and during the response",
            arguments: [false, true])
        func clientGone(isInBody: Bool) async throws {
            try await withRawUpstream { gateway, upstream in
                var client: TLSClient? = try TLSClient(gateway)
                try client?.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                if isInBody {
                    try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
                    _ = try client?.text(upTo: "abc")
                }
                client = nil
                try peer.expectClose()
                try waitUntil("nothing is under way") { gateway.server.openConnections == 0 }
            }
        }

        @Test("Remote response: a drain lets a request at the upstream finish")
        func drain() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                gateway.server.beginDrain()
                try waitUntil("new connections are refused") { (try? TLSClient(gateway)) == nil }
                try peer.send(answer(body: "late"))
                let received = try client.answer()
                #expect(received.text == "late")
                #expect(received.closes)
                try client.expectEnd()
                client.finishSending()
                try waitUntil("no connection is open") { gateway.server.openConnections == 0 }
            }
        }

        @Test("Remote response: bytes after a response end the connection, and are no response to another request")
        func surplus() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(request("GET", Path.state))
                let (peer, _) = try upstream.acceptRequest()
                try peer.send(answer(body: "one") + answer(body: "evil"))
                #expect(try client.answer().text == "one")
                try peer.expectClose()
                try client.send(request("GET", Path.state))
                let second = try upstream.acceptRequest().peer
                try second.send(answer(body: "two"))
                #expect(try client.answer().text == "two")
                // On a connection that is not in use, too.
                try second.send(answer(body: "evil"))
                try second.expectClose()
                try client.send(request("GET", Path.state))
                try upstream.acceptRequest().peer.send(answer(body: "three"))
                #expect(try client.answer().text == "three")
            }
        }
    }
}
