import Crypto
import Glibc
import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// An upstream connection on a loop of its own, and a listener whose end of it the test plays itself.
///
/// `@unchecked Sendable`: the connection and the pool are touched on the loop only.
final class UpstreamRig: @unchecked Sendable {
    let loop: TestLoop
    let listener: LoopbackListener
    private var connection: UpstreamConnection?
    private let pool: ConnectionPool
    private let target: UpstreamConnection.Target

    /// Without a port of somebody else the peer is one that the test accepts.
    init(
        port: UInt16? = nil, tls: TLSClientContext? = nil, idle: Int = 2, idleTime: Duration = .seconds(20)
    ) throws {
        loop = try TestLoop()
        loop.start()
        listener = try LoopbackListener()
        pool = ConnectionPool(limit: idle, idleTime: idleTime)
        target = UpstreamConnection.Target(
            address: SocketAddress(host: "127.0.0.1", port: port ?? listener.port), tls: tls, serverName: "localhost")
    }

    /// Gives `body` a rig, and ends its loop.
    static func with(_ rig: UpstreamRig, _ body: (UpstreamRig) async throws -> Void) async throws {
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(rig)) } catch { outcome = .failure(error) }
        try await rig.loop.run { _ in
            rig.connection = nil
            rig.pool.sweep(now: .distantFuture)
        }
        try await rig.loop.stop()
        try outcome.get()
    }

    func connect(timeout: Duration = .seconds(20)) async throws {
        try await loop.run { loop in
            self.connection = try await UpstreamConnection.connect(
                to: self.target, on: loop, timeout: timeout, limits: HeadLimits(headBytes: 4096, fields: 20))
        }
    }

    /// What `body` gives for the connection, on its loop.
    func run<R: Sendable>(_ body: @escaping @Sendable (UpstreamConnection) async throws -> R) async throws -> R {
        try await loop.run { _ in try await body(#require(self.connection, "there is no connection")) }
    }

    /// Drops the connection.
    func drop() async throws { try await loop.run { _ in self.connection = nil } }

    /// Gives the connection to the pool.
    func give() async throws {
        try await loop.run { _ in
            if let connection = self.connection.take() { self.pool.give(connection) }
        }
    }

    /// Takes one from the pool; whether there was one.
    func take(after: Duration = .zero) async throws -> Bool {
        try await loop.run { loop in
            self.connection = self.pool.take(now: .now() + after)
            return self.connection != nil
        }
    }

    func sweep(after: Duration = .zero) async throws {
        try await loop.run { _ in self.pool.sweep(now: .now() + after) }
    }

    var pooled: Int {
        get async throws { try await loop.run { _ in self.pool.count } }
    }

    /// Sends a whole request.
    @discardableResult
    func send(
        _ method: HTTPMethod = .get, body: String = "", within timeout: Duration = .seconds(20)
    ) async throws -> UpstreamConnection.Sent {
        try await run { connection in
            connection.requestStarted(method)
            connection.output += Array("\(method.name) / HTTP/1.1\r\n\r\n".utf8)
            connection.requestFinished(with: Array(body.utf8))
            return try await connection.flush(within: timeout)
        }
    }

    /// An answer as the connection read it.
    struct Answer: Equatable, Sendable {
        var status: Int
        var body: String
        var interim: [Int] = []
    }

    func answer(before: Duration = .seconds(20)) async throws -> Answer {
        try await run { connection in
            let deadline = Instant.now() + before
            var interim: [Int] = []
            try await connection.nextHead(before: deadline)
            while connection.head.isInterim {
                interim.append(connection.head.status)
                try await connection.nextHead(before: deadline)
            }
            let status = connection.head.status
            var body: [UInt8] = []
            while case .bytes(let range) = try await connection.nextBodyPiece(before: deadline) {
                connection.copyBody(range, to: &body)
            }
            return Answer(status: status, body: String(decoding: body, as: UTF8.self), interim: interim)
        }
    }

    /// What an exchange fails with.
    func failure(_ body: () async throws -> some Sendable) async throws -> UpstreamConnectionError? {
        do { _ = try await body() } catch let failure as UpstreamConnectionError { return failure }
        return nil
    }
}

extension LoopbackListener {
    func peer() throws -> Peer { Peer(try #require(accept(), "nobody connects")) }
}

/// The other end of an upstream connection: a plain blocking socket.
final class Peer: Sendable {
    private let socket: PlainSocket

    init(_ socket: PlainSocket) { self.socket = socket }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    func finishSending() { socket.finishSending() }

    /// Closes with bytes in it that nobody has read: the client gets a reset.
    func reset() { socket.close() }

    /// What comes next; empty at the end.
    func receive() throws -> [UInt8] {
        var received: [UInt8] = []
        _ = try socket.receive(into: &received, endsByReset: true)
        return received
    }

    /// Reads to the empty line of a head, and what came with it.
    @discardableResult
    func request() throws -> String {
        var text = ""
        while !text.contains("\r\n\r\n") {
            let piece = try receive()
            try #require(!piece.isEmpty, "the connection ended before a request")
            text += String(decoding: piece, as: UTF8.self)
        }
        return text
    }

    /// Reads to the end.
    func expectEnd() throws { while try !receive().isEmpty {} }
}
