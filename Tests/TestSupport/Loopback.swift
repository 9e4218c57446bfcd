internal import Glibc

/// Why a test's connection cannot go on.
package struct BrokenConnection: Error {
    package let reason: String

    package init(reason: String) { self.reason = reason }
}

/// A listening socket on 127.0.0.1; port 0 lets the system choose. The caller closes it.
package func listenOnLoopback(port: UInt16 = 0, backlog: Int32 = 128) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var one: Int32 = 1
    // SAFETY: the kernel reads an Int32.
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = loopback(port: port)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // SAFETY: the kernel reads and then fills the address on our stack.
    let result = unsafe withUnsafeMutableBytes(of: &address) { bytes in
        let pointer = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
        return unsafe bind(descriptor, pointer, length) | listen(descriptor, backlog)
            | getsockname(descriptor, pointer, &length)
    }
    guard result == 0 else {
        close(descriptor)
        throw BrokenConnection(reason: "no port to listen on")
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
}

/// A connected blocking socket; each call on it has a deadline. The caller closes it.
///
/// `number` is the last part of the client's own address, 127.0.0.`number`. `receiveBytes` bounds the kernel's receive
/// buffer.
package func connectToLoopback(port: UInt16, from number: UInt32 = 1, receiveBytes: Int32? = nil) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    setDeadlines(of: descriptor)
    if var receiveBytes {
        // SAFETY: the kernel reads an Int32.
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var own = loopback(port: 0, number)
    var address = loopback(port: port)
    // SAFETY: the kernel reads the addresses from our stack.
    let result = unsafe withUnsafeBytes(of: &own) { own in
        unsafe withUnsafeBytes(of: &address) { bytes in
            let size = socklen_t(bytes.count)
            if number != 1 {
                unsafe _ = bind(descriptor, own.baseAddress?.assumingMemoryBound(to: sockaddr.self), size)
            }
            return unsafe connect(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), size)
        }
    }
    guard result == 0 else {
        close(descriptor)
        throw BrokenConnection(reason: "the connection is refused")
    }
    return descriptor
}

/// No call on the socket blocks for longer than 20 s, and no bytes wait for an acknowledgement before they are sent.
func setDeadlines(of descriptor: Int32) {
    var timeout = timeval(tv_sec: 20, tv_usec: 0)
    var one: Int32 = 1
    // SAFETY: the kernel reads the options from our stack.
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
}

private func loopback(port: UInt16, _ number: UInt32 = 1) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = (UInt32(0x7F00_0000) + number).bigEndian
    return address
}
