internal import COpenSSL
internal import Glibc

/// The server of a client's session, and the key of its TLS sessions in the store.
///
/// The key consists of name and address: several servers with one name have different ticket keys.
final class ResumableServer {
    let name: ServerName
    private let sessions: SessionStore
    private let key: [UInt8]

    init(_ name: ServerName, socket: Int32, sessions: SessionStore) {
        self.name = name
        self.sessions = sessions
        key = Array(name.text.utf8) + [0] + peerAddress(of: socket)
    }

    @unsafe func storeSession(_ session: OpaquePointer) { unsafe sessions.store(session, at: key) }

    @unsafe func offerSession(to ssl: OpaquePointer) { unsafe sessions.offer(to: ssl, at: key) }

    func forgetSession() { sessions.forget(key) }
}

/// The kernel's form of the address and port; empty when the socket is not connected.
private func peerAddress(of socket: Int32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_in6>.size)
    var length = socklen_t(bytes.count)
    // SAFETY: the kernel writes at most `length` bytes, and sets `length` to their number.
    let status = unsafe bytes.withUnsafeMutableBytes { bytes in
        unsafe getpeername(socket, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
    }
    return status == 0 ? Array(bytes.prefix(Int(length))) : []
}
