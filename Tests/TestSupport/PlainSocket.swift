internal import Glibc
internal import Synchronization

/// One end of a connection without TLS: a blocking socket with a deadline for each call; `deinit` closes it.
package final class PlainSocket: Sendable {
    package let descriptor: Int32
    private let isClosed = Atomic<Bool>(false)

    /// Takes ownership of an accepted socket.
    package init(_ descriptor: Int32) {
        self.descriptor = descriptor
        setDeadlines(of: descriptor)
    }

    /// Connects; the options are those of ``connectToLoopback(port:from:receiveBytes:)``.
    package init(port: UInt16, from number: UInt32 = 1, receiveBytes: Int32? = nil) throws {
        descriptor = try connectToLoopback(port: port, from: number, receiveBytes: receiveBytes)
    }

    deinit { close() }

    /// If the socket has unread bytes, the peer gets a reset.
    package func close() {
        if !isClosed.exchange(true, ordering: .relaxed) { Glibc.close(descriptor) }
    }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            // SAFETY: the kernel reads the rest of the array.
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw BrokenConnection(reason: "the other end does not read any more") }
            sent += count
        }
    }

    /// Ends the sending direction; reading can go on.
    package func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    package enum Received: Equatable {
        case bytes([UInt8])
        case end
        /// The error number.
        case failed(Int32)
    }

    /// The result of one system call.
    package func receive(atMost limit: Int = 65_536) -> Received {
        var bytes = [UInt8](repeating: 0, count: limit)
        // SAFETY: the kernel writes at most the array's bytes.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count == 0 { return .end }
        if count < 0 { return .failed(errno) }
        return .bytes(Array(bytes[..<count]))
    }

    /// Appends the next bytes. Returns `false` at the end of the peer's bytes; with `endsByReset` a reset is an end.
    package func receive(into received: inout [UInt8], endsByReset: Bool = false) throws -> Bool {
        switch receive() {
        case .bytes(let bytes):
            received += bytes
            return true
        case .end: return false
        case .failed(ECONNRESET) where endsByReset: return false
        case .failed(let number):
            throw BrokenConnection(reason: "nothing came in time, or the connection broke (\(number))")
        }
    }
}
