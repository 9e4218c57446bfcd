internal import Glibc

extension Socket {
    /// Starts to connect. The socket is writable when the attempt has succeeded or failed: see ``connectFailure()``.
    ///
    /// Throws failures that are known at once: a refusal on this machine, no route, no port left.
    package static func connecting(to address: SocketAddress) throws(SystemError) -> Socket {
        guard let family = address.family else { throw SystemError("connect \(address)", number: EAFNOSUPPORT) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = try syscall("socket") { Glibc.socket(family, kind, 0) }
        let socket = Socket(owning: descriptor)
        // Requests are written whole: Nagle's algorithm would only delay them.
        socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        // Finds a dead peer also on a connection on which nothing is sent.
        socket.set(SOL_SOCKET, SO_KEEPALIVE, 1)
        // SAFETY: the address outlives the call.
        let result = unsafe address.withKernelAddress { unsafe connect(descriptor, $0, $1) } ?? -1
        // An interrupted connect continues; a second call would be an error.
        guard result == 0 || errno == EINPROGRESS || errno == EINTR else { throw SystemError("connect \(address)") }
        return socket
    }

    /// Why the connect failed, once the socket is writable; `nil` if it is connected. The kernel reports it once.
    package borrowing func connectFailure() -> SystemError? {
        var number: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: the kernel writes one Int32.
        let status = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length)
        if status != 0 { number = errno }
        return number == 0 ? nil : SystemError("connect", number: number)
    }
}
