internal import Crypto
internal import Glibc

/// A connection's bytes: through TLS, or plain.
struct ByteStream: ~Copyable {
    /// `nil` on a plain connection.
    private var session: TLSSession?
    private let descriptor: Int32
    /// For plain sockets: the two flags that `SocketState` keeps for those with TLS.
    private var isDrained = false
    private var isPeerClosing = false

    /// A server's: plain without a context. Borrows `socket`, as does the other one.
    init(server context: TLSContext?, socket: Int32) throws(TLSError) {
        descriptor = socket
        if let context {
            session = try TLSSession(context: context, socket: socket)
        } else {
            session = nil
        }
    }

    /// A client's: plain without a context. `serverName` is what the server's certificate has to be for.
    init(client context: TLSClientContext?, socket: Int32, serverName: String) throws(TLSError) {
        descriptor = socket
        if let context {
            session = try TLSSession(client: context, socket: socket, serverName: serverName)
        } else {
            session = nil
            // Nothing comes before something has been asked, and then the poller tells: no buffer is held to look for it.
            isDrained = true
        }
    }

    /// One step of the TLS handshake; a plain connection has none.
    mutating func handshake() throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.handshake() }
        return .done(bytes: 0)
    }

    /// A read would only be told to wait.
    mutating func isKnownEmpty() -> Bool {
        if session != nil { return session!.isKnownEmpty() }
        return isDrained
    }

    /// The poller saw new bytes, or with `closing` the end of them: the next read asks the kernel again.
    mutating func socketBecameReadable(closing: Bool) {
        if session != nil { return session!.socketBecameReadable(closing: closing) }
        isDrained = false
        if closing { isPeerClosing = true }
    }

    mutating func peerSpeaksPlainText() -> Bool {
        if session != nil { return session!.peerSpeaksPlainText() }
        return false
    }

    /// `nil` on a plain connection.
    mutating func isTLS13() -> Bool? {
        if session != nil { return session!.isVersion13() }
        return nil
    }

    mutating func isResumed() -> Bool {
        if session != nil { return session!.isResumed() }
        return false
    }

    mutating func read(into output: inout [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.read(into: &output, from: from) }
        precondition(from < output.count, "a read needs room")
        var count = 0
        repeat {
            // SAFETY: `from` is inside the array; the kernel writes at most the rest.
            count = unsafe output.withUnsafeMutableBytes { bytes in
                unsafe recv(descriptor, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, 0)
            }
        } while count < 0 && errno == EINTR
        // A read that got less than there was room for took everything; the poller tells of what comes later. But the
        // peer's end, once it has been told of, is told of no more.
        if count > 0 {
            isDrained = count < output.count - from && !isPeerClosing
        } else if count < 0 {
            isDrained = true
        }
        return try ByteStream.progress(count, blocked: .wantsRead, operation: .read)
    }

    /// Sends the front of `input[from..<end]`.
    mutating func write(_ input: [UInt8], from: Int, to end: Int? = nil) throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.write(input, from: from, to: end) }
        let end = end ?? input.count
        precondition(from < end && end <= input.count, "a write needs bytes")
        var count = 0
        repeat {
            count = unsafe input.withUnsafeBytes { bytes in
                // SAFETY: `from..<end` is inside the array; the kernel only reads.
                unsafe send(
                    descriptor, bytes.baseAddress.map { unsafe $0 + from }, end - from, Int32(MSG_NOSIGNAL))
            }
        } while count < 0 && errno == EINTR
        return try ByteStream.progress(count, blocked: .wantsWrite, operation: .write)
    }

    /// Says goodbye in TLS and in TCP; the peer may still be read from.
    mutating func finishWriting() {
        if session != nil { session!.sendClose() }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Sends what fits to a peer that has no TLS session: someone who spoke plain HTTP on the TLS port.
    func sendPlainText(_ bytes: [UInt8]) {
        // SAFETY: the kernel reads the array.
        _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    private static func progress(
        _ count: Int, blocked: TLSProgress, operation: TLSError.Operation
    ) throws(TLSError) -> TLSProgress {
        if count > 0 { return .done(bytes: count) }
        if count == 0 { return .closedByPeer }
        if errno == EAGAIN || errno == EWOULDBLOCK { return blocked }
        throw TLSError(operation, cause: .disconnected, reason: SystemError("socket").description)
    }
}
