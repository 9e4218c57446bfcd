import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// The other end of a connection: a plain blocking socket. What it cannot send, it drops: a server may have closed.
final class TestClient: Sendable {
    private let socket: PlainSocket

    /// `receiveBytes` bounds what the kernel takes in while nobody reads; `number` is the last of the client's own address.
    init(port: UInt16, receiveBytes: Int32? = nil, from number: UInt32 = 1) throws {
        socket = try PlainSocket(port: port, from: number, receiveBytes: receiveBytes)
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) { try? socket.send(bytes) }

    func finishSending() { socket.finishSending() }

    /// What one system call gives.
    func receive(atMost limit: Int = 65536) -> PlainSocket.Received { socket.receive(atMost: limit) }

    /// The next `count` bytes, or what there is before the end.
    func receive(exactly count: Int) -> [UInt8] {
        var seen: [UInt8] = []
        while seen.count < count, case .bytes(let bytes) = receive(atMost: min(65536, count - seen.count)) {
            seen += bytes
        }
        return seen
    }

    /// Expects exactly `text` next.
    func expect(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let seen = receive(exactly: text.utf8.count)
        // Not the whole texts: some have megabytes.
        let isEqual = seen == Array(text.utf8)
        #expect(
            isEqual, "\(text.prefix(300)) was \(String(decoding: seen.prefix(300), as: UTF8.self))",
            sourceLocation: sourceLocation)
    }

    /// Expects the server's end of the connection, in order and not by a reset.
    func expectEnd(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(receive() == .end, sourceLocation: sourceLocation)
    }
}

/// Something that blocks, on a thread of its own: the threads of tasks are few.
final class Background<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)

    init(_ body: @escaping @Sendable () -> Value) {
        Thread.detachNewThread {
            let value = body()
            self.result.withLock { $0 = value }
        }
    }

    func value() throws -> Value {
        try waitUntil { result.withLock { $0 != nil } }
        return try #require(result.withLock { $0 })
    }
}
