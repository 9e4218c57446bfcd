internal import Crypto
internal import Glibc

/// The bytes of a connection, with or without TLS.
struct ByteStream: ~Copyable {
    /// `nil` on a plain connection.
    private var session: TLSSession?
    private let descriptor: Int32
    /// Only for plain sockets; for TLS, `SocketState` has these two flags.
    private var isDrained = false
    private var isPeerClosing = false

    /// A server's side: plain without a context. Borrows `socket`, like the other initializer.
    init(server context: TLSContext?, socket: Int32) throws(TLSError) {
        descriptor = socket
        if let context {
            session = try TLSSession(context: context, socket: socket)
        } else {
            session = nil
        }
    }

    /// A client's side: plain without a context. The server's certificate must be for `serverName`.
    init(client context: TLSClientContext?, socket: Int32, serverName: String) throws(TLSError) {
        descriptor = socket
        if let context {
            session = try TLSSession(client: context, socket: socket, serverName: serverName)
        } else {
            session = nil
            // No bytes come before a request; then the poller reports them. Until then no read needs a buffer.
            isDrained = true
        }
    }

    /// One step of the TLS handshake; a plain connection has none.
    mutating func handshake() throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.handshake() }
        return .done(bytes: 0)
    }

    /// Whether a read would return `wantsRead`.
    mutating func isKnownEmpty() -> Bool {
        if session != nil { return session!.isKnownEmpty() }
        return isDrained
    }

    /// The poller reported new bytes or, with `closing`, their end: the next read calls the kernel again.
    mutating func socketBecameReadable(closing: Bool) {
        if session != nil { return session!.socketBecameReadable(closing: closing) }
        isDrained = false
        if closing { isPeerClosing = true }
    }

    /// Whether a peer that must speak TLS began with plain HTTP.
    mutating func peerSentPlainHTTP() -> Bool {
        if session != nil { return session!.peerSentPlainHTTP() }
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

    /// Keeps the buffers of TLS between reads and writes, until `releaseBuffers`.
    mutating func keepBuffers() {
        if session != nil { session!.keepBuffers() }
    }

    mutating func releaseBuffers() {
        if session != nil { session!.releaseBuffers() }
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
        // A read that did not fill its buffer took everything; the poller reports later bytes. But the poller reports
        // the peer's end only once: after that the kernel must be asked.
        if count > 0 {
            isDrained = count < output.count - from && !isPeerClosing
        } else if count < 0 {
            isDrained = true
        }
        return try ByteStream.progress(count, blocked: .wantsRead, operation: .read)
    }

    /// Sends bytes from `input[from..<end]`, from the front, as many as the kernel takes.
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

    /// Ends the sending direction in TLS and in TCP; reading can go on.
    mutating func finishWriting() {
        if session != nil { session!.sendClose() }
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Sends what fits to a peer without a TLS session: a client that sent plain HTTP to the TLS port.
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
