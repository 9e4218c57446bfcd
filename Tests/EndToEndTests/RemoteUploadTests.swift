import Testing

extension EndToEnd {
    /// Request bodies on their way to a remote upstream, and answers that do not wait for their end.
    @Suite("Uploads to a remote upstream")
    struct RemoteUploadTests {
        private static let path = Path.base + "/uploads"
        private static let size = 10 << 20
        private static let sizes = #"sizes: { body: "64MiB" },"#

        private static func head(_ framing: String) -> String { request("POST", path, framing) }

        private static let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

        @Test("Upload: a large body of known length arrives as it was sent, while it is sent")
        func length() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Content-Length: \(Self.size)"))
                try client.send(Array(Self.body[..<100_000]))
                let peer = try upstream.accept()
                let head = try peer.head()
                #expect(head.values("content-length") == ["\(Self.size)"])
                #expect(head.values("transfer-encoding") == [])
                // It is there before the rest has been sent.
                #expect(try peer.take(100_000) == Array(Self.body[..<100_000]))
                let sender = Sender(client, Array(Self.body[100_000...]))
                #expect(try peer.take(Self.size - 100_000) == Array(Self.body[100_000...]))
                try peer.send(answer(201, body: "done"))
                let received = try sender.finish().answer()
                #expect(received.status == 201)
                #expect(received.text == "done")
            }
        }

        @Test("Upload: a chunked body arrives as it was sent, and the connection is used again")
        func chunked() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Transfer-Encoding: chunked"))
                var bytes: [UInt8] = []
                for start in stride(from: 0, to: Self.size, by: 70_001) {
                    let piece = Self.body[start..<min(start + 70_001, Self.size)]
                    bytes += Array((String(piece.count, radix: 16) + "\r\n").utf8) + piece + [13, 10]
                }
                let sender = Sender(client, bytes + Array("0\r\nX-Trailer: 1\r\n\r\n".utf8))
                let (peer, request) = try upstream.acceptRequest()
                #expect(request.body == Self.body)
                try peer.send(answer())
                let client2 = try sender.finish()
                #expect(try client2.answer().status == 200)
                try client2.send(Self.head("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n")
                #expect(try peer.request().text == "abc")
                try peer.send(answer())
                #expect(try client2.answer().status == 200)
            }
        }

        @Test("Upload: a slow upstream slows the client down, and no data accumulates between them")
        func backPressure() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                let size = 48 << 20
                try client.send(Self.head("Content-Length: \(size)"))
                let sender = Sender(client, [UInt8](repeating: 7, count: size))
                let peer = try upstream.accept()
                _ = try peer.head()
                // What the kernels hold between them is a few MiB.
                let taken = try sender.waitUntilStuck()
                #expect(taken < 24 << 20, "\(taken) bytes have left the client, and nobody reads them")
                #expect(try peer.take(size).allSatisfy { $0 == 7 })
                try peer.send(answer())
                #expect(try sender.finish().answer().status == 200)
            }
        }

        @Test(
            "Upload: interim responses during an upload reach the client, and the upload continues",
            arguments: [100, 102, 103])
        func interimAnswer(status: Int) async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Content-Length: 200000"))
                try client.send([UInt8](repeating: 1, count: 70_000))
                let peer = try upstream.accept()
                _ = try peer.head()
                try peer.send("HTTP/1.1 \(status) Interim\r\nLink: </a>\r\n\r\n")
                // The gateway says `100 Continue` itself where somebody waits for it.
                if status != 100 {
                    let interim = try client.answer()
                    #expect(interim.status == status)
                    #expect(interim["link"] == "</a>")
                }
                try client.send([UInt8](repeating: 1, count: 130_000))
                #expect(try peer.take(200_000).count == 200_000)
                try peer.send(answer())
                #expect(try client.answer().status == 200)
            }
        }

        @Test("Upload: an early response reaches a client that has stopped sending")
        func earlyAnswerToPause() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Content-Length: 200000"))
                try client.send([UInt8](repeating: 1, count: 70_000))
                let peer = try upstream.accept()
                _ = try peer.head()
                _ = try peer.take(70_000)
                try peer.send(answer(200, body: "enough"))
                let received = try client.answer()
                #expect(received.status == 200)
                #expect(received.text == "enough")
                #expect(received.closes)
                // Nobody knows what of the request is still to come.
                try peer.expectClose()
            }
        }

        @Test(
            "Upload: the response of an upstream that refuses a body, and stops reading, reaches the client",
            arguments: [true, false])
        func earlyRefusal(isChunked: Bool) async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                let size = 48 << 20
                try client.send(Self.head(isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(size)"))
                let size16 = Array((String(size, radix: 16) + "\r\n").utf8)
                let sender = Sender(client, (isChunked ? size16 : []) + [UInt8](repeating: 1, count: size))
                let peer = try upstream.accept()
                _ = try peer.head()
                _ = try sender.waitUntilStuck()
                try peer.send(answer(413, body: #"{"detail":"too large"}"#))
                let received = try sender.abandon().answer()
                // After chunks it is only known later that there are too many to be read away.
                try received.expectError(413, "PAYLOAD_TOO_LARGE", closes: isChunked ? nil : true)
                try peer.expectClose()
            }
        }

        @Test("Upload: an upstream that refuses a body, and continues to read, gets no more than was in flight")
        func earlyRefusalWhileReading() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                let client = try TLSClient(gateway)
                let size = 64 << 20
                try client.send(Self.head("Content-Length: \(size)"))
                let sender = Sender(client, [UInt8](repeating: 1, count: size))
                let peer = try upstream.accept()
                _ = try peer.head()
                try peer.send(answer(413, body: "{}"))
                var count = 0
                while try peer.receive() {
                    count += peer.received.count
                    peer.received = []
                }
                #expect(count < size / 2)
                try sender.abandon().answer().expectError(413, "PAYLOAD_TOO_LARGE", closes: true)
            }
        }

        @Test("Upload: a client that disconnects in the middle of its body closes the upstream's connection")
        func clientGone() async throws {
            try await withRawUpstream(settings: Self.sizes) { gateway, upstream in
                var client: TLSClient? = try TLSClient(gateway)
                try client?.send(Self.head("Content-Length: 200000"))
                try client?.send([UInt8](repeating: 1, count: 70_000))
                let peer = try upstream.accept()
                _ = try peer.head()
                client = nil
                try peer.expectClose()
            }
        }

        @Test("Upload: a chunked body beyond its limit is cut off on both sides")
        func tooLarge() async throws {
            try await withRawUpstream(settings: #"sizes: { body: "100KiB" },"#) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Transfer-Encoding: chunked") + "1ffff\r\n")
                let sender = Sender(client, [UInt8](repeating: 1, count: 0x1FFFF))
                let peer = try upstream.accept()
                try sender.finish().answer().expectError(413, "PAYLOAD_TOO_LARGE", closes: true)
                try peer.expectClose()
            }
        }

        @Test("Upload: a malformed chunk is the client's fault, and no end of the body for the upstream")
        func malformedChunk() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(Self.head("Transfer-Encoding: chunked") + "11170\r\n")
                try client.send([UInt8](repeating: 1, count: 0x11170) + [13, 10])
                let peer = try upstream.accept()
                _ = try peer.head()
                #expect(try peer.take(0x11170).contains(1))
                try client.send("zz\r\n")
                try client.answer().expectError(400, "BAD_REQUEST", closes: true)
                try peer.expectEnd()
            }
        }
    }
}
