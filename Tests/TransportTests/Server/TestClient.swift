import Foundation
import Glibc
import Synchronization
import Testing

@testable import Transport

/// The other end of a connection: a plain blocking socket.
final class TestClient: Sendable {
    private let descriptor: Int32

    /// `receiveBytes` bounds what the kernel takes in while nobody reads; `number` is the last of the client's own address.
    init(port: UInt16, receiveBytes: Int32? = nil, from number: UInt32 = 1) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        // SAFETY: the kernel reads the options and the address from our stack.
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if var receiveBytes {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var one: Int32 = 1
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0000 + number).bigEndian
        unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe _ = bind(
                descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe connect(
                descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        try #require(result == 0, "connect: \(errno)")
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            // SAFETY: the kernel reads the rest of the array.
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    enum Received: Equatable {
        case bytes([UInt8])
        case end
        case failed(Int32)
    }

    /// What one system call gives.
    func receive(atMost limit: Int = 65536) -> Received {
        var bytes = [UInt8](repeating: 0, count: limit)
        // SAFETY: the kernel writes at most the array's bytes.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count == 0 { return .end }
        if count < 0 { return .failed(errno) }
        return .bytes(Array(bytes[..<count]))
    }

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
