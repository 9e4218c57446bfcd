import Crypto
import HTTP
import TestSupport
import Testing

@testable import Transport

@Suite("A connection to an upstream")
struct UpstreamConnectionTests {
    /// Connects, and gives both ends.
    private func connected(_ body: (UpstreamRig, Peer) async throws -> Void) async throws {
        try await UpstreamRig.with(try UpstreamRig()) { rig in
            try await rig.connect()
            try await body(rig, try rig.listener.peer())
        }
    }

    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test("UpstreamConnection: a head may come in any two pieces, behind interim ones as well")
    func everySplit() async throws {
        try await connected { rig, peer in
            let text = "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + Self.ok
            for cut in 0..<text.utf8.count {
                try await rig.send()
                #expect(try peer.request() == "GET / HTTP/1.1\r\n\r\n")
                try peer.send(Array(text.utf8.prefix(cut)))
                // Takes what has come already.
                let isInterim = try await rig.run { try $0.tryHead() && $0.head.isInterim }
                try peer.send(Array(text.utf8.dropFirst(cut)))
                let answer = try await rig.answer()
                #expect(answer.status == 200)
                #expect(answer.body == "ok")
                #expect(answer.interim == (isInterim ? [] : [103]), "at \(cut)")
                try await rig.give()
                #expect(try await rig.take())
            }
        }
    }

    @Test(
        "UpstreamConnection: every framing of a body is read to its end, and decides whether the connection persists",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
            ("HTTP/1.1 204 No\r\n\r\n", "", true), ("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x\r\nk\r\n0\r\nT: 1\r\n\r\n", "ok",
                true
            ),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok", false),
            ("HTTP/1.1 204 No\r\n\r\nx", "", false),
        ])
    func framings(text: String, body: String, goesOn: Bool) async throws {
        try await connected { rig, peer in
            try await rig.send()
            try peer.request()
            try peer.send(text)
            #expect(try await rig.answer().body == body)
            try await rig.give()
            #expect(try await rig.pooled == (goesOn ? 1 : 0))
            if !goesOn { try peer.expectEnd() }
        }
    }

    @Test("UpstreamConnection: a body until the end of the connection ends in order only where that does")
    func untilClose() async throws {
        try await connected { rig, peer in
            try await rig.send()
            try peer.request()
            try peer.send("HTTP/1.1 200 OK\r\n\r\nok")
            peer.finishSending()
            #expect(try await rig.answer().body == "ok")
            try await rig.give()
            #expect(try await rig.pooled == 0)
        }
    }

    @Test("UpstreamConnection: a truncated response is distinguished from a malformed one")
    func failures() async throws {
        let cases: [(String, UpstreamConnectionError)] = [
            ("", .closed), ("HTTP/1.1 200", .closed), ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", .truncated),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", .truncated),
            ("HTTP/1.1 103 Hints\r\n\r\n", .closed), ("nonsense\r\n", .head(.invalidStatusLine(at: 0))),
            ("HTTP/1.1 101 Switching\r\n\r\n", .head(.switchedProtocols)),
            (String(repeating: "HTTP/1.1 102 X\r\n\r\n", count: 17), .tooManyInterim),
            ("HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 5000))\r\n\r\n", .head(.headTooLong(limit: 4096))),
        ]
        for (text, expected) in cases {
            try await connected { rig, peer in
                try await rig.send()
                try peer.request()
                try peer.send(text)
                peer.finishSending()
                let failure = try await rig.failure { try await rig.answer() }
                #expect(failure == expected, "\(text.prefix(60))")
                try await rig.drop()
                try peer.expectEnd()
            }
        }
    }

    @Test("UpstreamConnection: every step has a deadline, and what was waited for is closed")
    func deadlines() async throws {
        try await connected { rig, peer in
            try await rig.send()
            #expect(try await rig.failure { try await rig.answer(before: .milliseconds(30)) } == .deadlinePassed)
            try await rig.drop()
            try peer.expectEnd()
        }
        try await connected { rig, peer in
            try await rig.send()
            try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")
            #expect(try await rig.failure { try await rig.answer(before: .milliseconds(30)) } == .deadlinePassed)
        }
        try await connected { rig, peer in
            // More than the kernels take from somebody whose peer does not read.
            let body = String(repeating: "x", count: 32 << 20)
            let failure = try await rig.failure { try await rig.send(.post, body: body, within: .milliseconds(100)) }
            #expect(failure == .deadlinePassed)
        }
    }

    @Test("UpstreamConnection: a peer may take a request slowly, as long as it takes something")
    func slowPeer() async throws {
        try await connected { rig, peer in
            let size = 16 << 20
            let timeout = Duration.milliseconds(400)
            async let sent = rig.send(.post, body: String(repeating: "x", count: size), within: timeout)
            let start = Instant.now()
            var received = 0
            for step in 1...8 {
                // All of it takes twice as long as it may stand still.
                try waitUntil { Instant.now() >= start + .milliseconds(100 * step) }
                while received < size * step / 8 { received += try peer.receive().count }
            }
            #expect(try await sent == .all)
        }
    }

    @Test("UpstreamConnection: a body of any size is read through one buffer, which is never copied")
    func oneBuffer() async throws {
        try await connected { rig, peer in
            try await rig.send()
            try peer.request()
            async let buffers = rig.run { connection in
                try await connection.nextHead(before: .now() + .seconds(20))
                var places: Set<UInt> = []
                while case .bytes = try await connection.nextBodyPiece(before: .now() + .seconds(20)) {
                    places.insert(unsafe connection.input.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) })
                }
                return places.count
            }
            let size = 1 << 20
            try peer.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n" + String(repeating: "x", count: size))
            #expect(try await buffers == 1)
        }
    }

    @Test("UpstreamConnection: bytes behind a response that fills the buffer end the connection")
    func surplusBehindBuffer() async throws {
        try await connected { rig, peer in
            try await rig.send()
            try peer.request()
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 00000\r\n\r\n"
            let length = BufferPools.largeBytes - head.utf8.count
            let whole = head.replacing("00000", with: "\(length)") + String(repeating: "x", count: length)
            try peer.send(whole + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            #expect(try await rig.answer().body.utf8.count == length)
            try await rig.give()
            #expect(try await rig.pooled == 0)
            try peer.expectEnd()
        }
    }

    @Test(
        "UpstreamConnection: a request that is refused half way gets the response, and continues after interim responses"
    )
    func answeredEarly() async throws {
        try await connected { rig, peer in
            let size = 32 << 20
            async let sent = rig.send(.post, body: String(repeating: "x", count: size))
            try peer.request()
            try peer.send("HTTP/1.1 102 Processing\r\n\r\n")
            #expect(try await sent == .answered)
            async let rest = rig.run { try await $0.flush(within: .seconds(20)) }
            try peer.send("HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
            #expect(try await rest == .answered)
            #expect(try await rig.run { $0.head.status } == 413)
            #expect(try await rig.run { $0.hasSentRequest } == false)
            try await rig.give()
            #expect(try await rig.pooled == 0)
            try peer.expectEnd()
        }
    }

    @Test("UpstreamConnection: a response before a reset is read even while the request is being sent")
    func resetBehindAnswer() async throws {
        for _ in 0..<5 {
            try await connected { rig, peer in
                async let sent = rig.send(.post, body: String(repeating: "x", count: 16 << 20))
                try peer.request()
                try peer.send("HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
                peer.reset()
                #expect(try await sent == .answered)
                #expect(try await rig.run { $0.head.status } == 413)
            }
        }
    }

    @Test("UpstreamConnection: a client that closes ends its wait, and the connection")
    func abandoned() async throws {
        try await connected { rig, peer in
            try await rig.send()
            let client = try SocketPair()
            let descriptor = client.ours
            async let failure = rig.failure {
                try await rig.run { connection in
                    let watch = try connection.loop.watch(descriptor)
                    defer { connection.loop.unwatch(watch) }
                    try await connection.nextHead(before: .now() + .seconds(20), unlessClosing: watch)
                }
            }
            try peer.request()
            shutdownWriting(client.theirs)
            #expect(try await failure == .abandoned)
            try await rig.drop()
            try peer.expectEnd()
        }
    }

    @Test("UpstreamConnection: a refused connection fails at once, and a silent one at the timeout")
    func connecting() async throws {
        // A port that nobody listens on any more.
        let port = try LoopbackListener().port
        try await UpstreamRig.with(try UpstreamRig(port: port)) { rig in
            await #expect(throws: ConnectFailure.refused) { try await rig.connect() }
        }
        // A full queue takes no more connections.
        let full = try LoopbackListener(backlog: 0)
        let first = try TestClient(port: full.port)
        try await UpstreamRig.with(try UpstreamRig(port: full.port)) { rig in
            await #expect(throws: ConnectFailure.deadlinePassed) { try await rig.connect(timeout: .milliseconds(50)) }
        }
        first.finishSending()
        try await UpstreamRig.with(try UpstreamRig(tls: try TLSClientContext(.init()))) { rig in
            // The peer never begins to shake hands.
            await #expect(throws: ConnectFailure.deadlinePassed) { try await rig.connect(timeout: .milliseconds(50)) }
            try rig.listener.peer().expectEnd()
        }
    }
}

@Suite("The pool of connections to an upstream")
struct ConnectionPoolTests {
    private func exchange(_ rig: UpstreamRig, _ peer: Peer) async throws {
        try await rig.send()
        try peer.request()
        try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(try await rig.answer().body == "ok")
        try await rig.give()
    }

    /// Gives a rig whose pool has one connection.
    private func pooled(idleTime: Duration = .seconds(20), _ body: (UpstreamRig, Peer) async throws -> Void)
        async throws
    {
        try await UpstreamRig.with(try UpstreamRig(idleTime: idleTime)) { rig in
            try await rig.connect()
            let peer = try rig.listener.peer()
            try await exchange(rig, peer)
            #expect(try await rig.pooled == 1)
            try await body(rig, peer)
        }
    }

    @Test("ConnectionPool: a connection carries one exchange after the other")
    func reuse() async throws {
        try await pooled { rig, peer in
            for _ in 0..<20 {
                #expect(try await rig.take())
                #expect(try await rig.pooled == 0)
                try await exchange(rig, peer)
            }
        }
    }

    @Test("ConnectionPool: the connection used last is taken first, and no more than the limit are kept")
    func order() async throws {
        try await UpstreamRig.with(try UpstreamRig(idle: 2)) { rig in
            var peers: [Peer] = []
            for _ in 0..<2 {
                try await rig.connect()
                peers.append(try rig.listener.peer())
                try await exchange(rig, peers[peers.count - 1])
            }
            #expect(try await rig.take())
            try await exchange(rig, peers[1])
            try await rig.connect()
            peers.append(try rig.listener.peer())
            try await exchange(rig, peers[2])
            #expect(try await rig.pooled == 2)
            try peers[2].expectEnd()
        }
    }

    @Test("ConnectionPool: a connection that was unused for too long is not reused, and is closed")
    func expiry() async throws {
        try await pooled(idleTime: .seconds(4)) { rig, peer in
            try await rig.sweep(after: .milliseconds(3900))
            #expect(try await rig.pooled == 1)
            try await rig.sweep(after: .seconds(4))
            #expect(try await rig.pooled == 0)
            try peer.expectEnd()
        }
        try await pooled(idleTime: .seconds(4)) { rig, peer in
            #expect(try await rig.take(after: .seconds(4)) == false)
            try peer.expectEnd()
        }
    }

    @Test(
        "ConnectionPool: a connection that the peer closed, or on which it sent something, is not reused",
        arguments: [true, false])
    func useless(isClosed: Bool) async throws {
        try await pooled { rig, peer in
            if isClosed { peer.finishSending() } else { try peer.send("HTTP/1.1 408 Timeout\r\n\r\n") }
            try await waitUntilAsync {
                try await rig.sweep(); return try await rig.pooled == 0
            }
            #expect(try await rig.take() == false)
            try peer.expectEnd()
        }
    }

    @Test("ConnectionPool: a request over a connection that was closed unnoticed is retried only if that is safe")
    func retry() async throws {
        for (method, expected) in [
            (HTTPMethod.get, UpstreamConnectionState.Retry.reusedAndNoResponseByte), (.post, .no),
        ] {
            try await pooled { rig, peer in
                #expect(try await rig.take())
                try await rig.send(method)
                try peer.request()
                peer.finishSending()
                #expect(try await rig.failure { try await rig.answer() } == .closed)
                #expect(try await rig.run { $0.failed() } == expected)
            }
        }
    }

    private func waitUntilAsync(_ condition: () async throws -> Bool) async throws {
        let deadline = Instant.now() + .seconds(20)
        while try await !condition() { try #require(Instant.now() < deadline, "waited in vain") }
    }

    @Test("ConnectionPool: TLS session tickets that arrive later neither spoil a connection nor count as a response")
    func tickets() async throws {
        let certificate = try LocalCertificateFiles()
        let server = try TestServer(context: certificate.context)
        defer { server.stop() }
        for isUpload in [false, true] {
            // A session that is resumed may bring no ticket.
            let tls = try TLSClientContext(.init(authorityFile: certificate.authorityFile))
            try await UpstreamRig.with(try UpstreamRig(port: server.port, tls: tls)) { rig in
                try await rig.connect()
                if isUpload {
                    let first = try await rig.run { connection in
                        connection.requestStarted(.post)
                        connection.output += Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab".utf8)
                        return try await connection.flush(within: .seconds(20))
                    }
                    #expect(first == .all)
                }
                try await waitUntilAsync { try await rig.run { $0.watch.isReadable } }
                if isUpload {
                    let hasHead = try await rig.run { try $0.tryHead() }
                    #expect(!hasHead)
                    let rest = try await rig.run { connection in
                        connection.output += Array("cd".utf8)
                        connection.requestFinished()
                        return try await connection.flush(within: .seconds(20))
                    }
                    #expect(rest == .all)
                    #expect(try await rig.answer().body == "POST /\nabcd")
                    try await rig.give()
                    #expect(try await rig.pooled == 1)
                } else {
                    #expect(try await rig.run { $0.isStillGood() })
                    try await rig.send()
                    #expect(try await rig.answer().status == 400)
                }
            }
        }
    }

    @Test("ConnectionPool: a server with another name or authority is refused")
    func untrusted() async throws {
        let certificate = try LocalCertificateFiles()
        let server = try TestServer(context: certificate.context)
        defer { server.stop() }
        let other = try LocalCertificateFiles()
        let tls = try TLSClientContext(.init(authorityFile: other.authorityFile))
        try await UpstreamRig.with(try UpstreamRig(port: server.port, tls: tls)) { rig in
            await #expect { try await rig.connect() } throws: { error in
                if case .tls(let error)? = error as? ConnectFailure { error.operation == .verify } else { false }
            }
        }
    }

    @Test("ConnectionPool: each loop has its own pool")
    func loops() async throws {
        let rigs = try (0..<4).map { _ in try UpstreamRig() }
        try await withThrowingTaskGroup { group in
            for rig in rigs {
                group.addTask {
                    try await UpstreamRig.with(rig) { rig in
                        try await rig.connect()
                        let peer = try rig.listener.peer()
                        for _ in 0..<100 {
                            try await self.exchange(rig, peer)
                            #expect(try await rig.take())
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
