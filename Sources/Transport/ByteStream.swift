internal import Crypto
internal import Glibc

/// A connection's bytes: through TLS, or plain for the admin listener.
struct ByteStream: ~Copyable {
    /// `nil` on a plain connection.
    var session: TLSSession?
    let descriptor: Int32

    /// One step of the TLS handshake; a plain connection has none.
    mutating func handshake() throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.handshake() }
        return .done(bytes: 0)
    }

    /// A read would only be told to wait.
    mutating func isKnownEmpty() -> Bool {
        if session != nil { return session!.isKnownEmpty() }
        return false
    }

    mutating func socketBecameReadable(closing: Bool) {
        if session != nil { session!.socketBecameReadable(closing: closing) }
    }

    mutating func peerSpeaksPlainText() -> Bool {
        if session != nil { return session!.peerSpeaksPlainText() }
        return false
    }

    mutating func isResumed() -> Bool {
        if session != nil { return session!.isResumed() }
        return false
    }

    mutating func read(into output: inout [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.read(into: &output, from: from) }
        // SAFETY: `from` is inside the array; the kernel writes at most the rest.
        let count = unsafe output.withUnsafeMutableBytes { bytes in
            unsafe recv(descriptor, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, 0)
        }
        return try ByteStream.progress(count, blocked: .wantsRead, operation: .read)
    }

    mutating func write(_ input: [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        if session != nil { return try session!.write(input, from: from) }
        let count = unsafe input.withUnsafeBytes { bytes in
            // SAFETY: `from` is inside the array; the kernel only reads.
            unsafe send(descriptor, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, Int32(MSG_NOSIGNAL))
        }
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
        if errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR { return blocked }
        throw TLSError(operation, reason: "socket error \(errno)")
    }
}
