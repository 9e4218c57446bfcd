internal import COpenSSL
internal import Glibc

/// The BIO's view of its socket. The `TLSSession` owns it; OpenSSL reaches it through the BIO's data pointer.
struct SocketState {
    let descriptor: Int32
    /// The last read emptied the socket. The next one would find that out by a system call, so it returns at once until
    /// the poller reports new bytes.
    var isDrained = false
    /// The peer's FIN is in the queue, so a short read has not emptied the socket.
    var isPeerClosing = false
    /// The first byte received: it distinguishes a TLS record (0x16) from plain HTTP.
    var firstByte: UInt8?
    /// The handshake is over.
    var isEstablished = false
    /// Messages without data since the handshake and since the last data: key updates, alerts, refused hellos.
    var messagesWithoutData = 0
    /// The server of a client session; `nil` in a server.
    var server: ResumableServer?
}

/// A BIO over a non-blocking socket that never reads from a socket known to be empty.
///
/// OpenSSL's own socket BIO reads once more after each request, only to get EAGAIN: on keep-alive connections, that is
/// a third of all system calls.
enum SocketBIO {
    /// Others allow 32 key updates; the callback counts each more than once.
    static let maxMessagesWithoutData = 128

    /// The method table, made once for the process. OpenSSL does not change it after this.
    nonisolated(unsafe) static let method: OpaquePointer = {
        // SAFETY: plain allocations; the table is complete before it is shared, and is never freed.
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gateway socket") else {
            preconditionFailure("out of memory while creating the TLS socket method")
        }
        unsafe BIO_meth_set_write_ex(method, socketBIOWrite)
        unsafe BIO_meth_set_read_ex(method, socketBIORead)
        unsafe BIO_meth_set_ctrl(method, socketBIOControl)
        return unsafe method
    }()
}

@c private func socketBIORead(
    _ bio: OpaquePointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
    // SAFETY: the session set the data pointer before OpenSSL could read and frees it after the BIO;
    // `buffer` has `capacity` bytes by OpenSSL's contract.
    guard let data = unsafe BIO_get_data(bio) else { return 0 }
    let state = unsafe data.assumingMemoryBound(to: SocketState.self)
    unsafe copenssl_bio_clear_retry(bio)
    if unsafe state.pointee.isDrained {
        unsafe copenssl_bio_retry_read(bio)
        return 0
    }
    // A peer may update its keys; one that sends no data only makes work. OpenSSL processes records without data as
    // long as there are any, and reads more here.
    guard unsafe state.pointee.messagesWithoutData <= SocketBIO.maxMessagesWithoutData else { return 0 }
    var received = 0
    repeat {
        received = unsafe recv(state.pointee.descriptor, buffer, capacity, 0)
    } while received < 0 && errno == EINTR
    if received > 0 {
        if unsafe state.pointee.firstByte == nil, let buffer = unsafe buffer {
            unsafe state.pointee.firstByte = UInt8(bitPattern: buffer.pointee)
        }
        unsafe state.pointee.isDrained = received < capacity && !state.pointee.isPeerClosing
        unsafe count?.pointee = received
        return 1
    }
    if received < 0, errno == EAGAIN || errno == EWOULDBLOCK {
        unsafe state.pointee.isDrained = true
        unsafe copenssl_bio_retry_read(bio)
    } else if received == 0 {
        unsafe BIO_set_flags(bio, BIO_FLAGS_IN_EOF)
    }
    return 0
}

/// OpenSSL's callback for handshake messages and alerts, but not for data.
@c func countMessage(_ ssl: OpaquePointer?, _ event: Int32, _ value: Int32) {
    // SAFETY: as for reading: the BIO of a session has its state.
    guard let ssl = unsafe ssl, let bio = unsafe SSL_get_rbio(ssl), let data = unsafe BIO_get_data(bio) else { return }
    let state = unsafe data.assumingMemoryBound(to: SocketState.self)
    if unsafe state.pointee.isEstablished { unsafe state.pointee.messagesWithoutData += 1 }
}

@c private func socketBIOWrite(
    _ bio: OpaquePointer?, _ buffer: UnsafePointer<CChar>?, _ length: Int, _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
    // SAFETY: as for reading; `buffer` has `length` bytes.
    guard let data = unsafe BIO_get_data(bio) else { return 0 }
    let state = unsafe data.assumingMemoryBound(to: SocketState.self)
    unsafe copenssl_bio_clear_retry(bio)
    var sent = 0
    repeat {
        sent = unsafe send(state.pointee.descriptor, buffer, length, Int32(MSG_NOSIGNAL))
    } while sent < 0 && errno == EINTR
    if sent > 0 {
        unsafe count?.pointee = sent
        return 1
    }
    if sent < 0, errno == EAGAIN || errno == EWOULDBLOCK {
        unsafe copenssl_bio_retry_write(bio)
    }
    return 0
}

@c private func socketBIOControl(
    _ bio: OpaquePointer?, _ command: Int32, _ argument: Int, _ pointer: UnsafeMutableRawPointer?
) -> Int {
    switch command {
    case BIO_CTRL_FLUSH, BIO_CTRL_DUP: 1
    // SAFETY: reads one flag of the BIO that OpenSSL passes.
    case BIO_CTRL_EOF: unsafe BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0
    default: 0
    }
}
