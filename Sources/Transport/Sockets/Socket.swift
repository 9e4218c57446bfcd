internal import CLinux
internal import Glibc

/// An IP address and port, written `127.0.0.1:8443` or `[::1]:8443`.
package struct SocketAddress: Equatable, Sendable, CustomStringConvertible {
    /// A numeric address, IPv6 without brackets.
    package let host: String
    package var port: UInt16

    /// Does not check that `host` is numeric. Listening on another host and connecting to it throw an error.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// An address to listen on: `localhost` means 127.0.0.1, and `*` all IPv4 addresses. `nil` for other names.
    package init?(listeningOn host: String, port: UInt16) {
        switch host {
        case "localhost": self.init(host: "127.0.0.1", port: port)
        case "*": self.init(host: "0.0.0.0", port: port)
        default: self.init(host: host, port: port)
        }
        guard family != nil else { return nil }
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// `nil` if the host is no numeric address.
    var family: Int32? {
        var v4 = in_addr()
        var v6 = in6_addr()
        // SAFETY: inet_pton reads a C string and fills the structure of the family it was asked for.
        if unsafe inet_pton(AF_INET, host, &v4) == 1 { return AF_INET }
        if unsafe inet_pton(AF_INET6, host, &v6) == 1 { return AF_INET6 }
        return nil
    }

    /// Calls `body` with the address in the kernel's format.
    func withKernelAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R? {
        // SAFETY: each structure is the one that its family demands, and outlives the call that reads it.
        if family == AF_INET {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            unsafe inet_pton(AF_INET, host, &address.sin_addr)
            return unsafe withUnsafeBytes(of: &address) { bytes in
                unsafe bytes.baseAddress.map {
                    unsafe body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
                }
            }
        }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        unsafe inet_pton(AF_INET6, host, &address.sin6_addr)
        return unsafe withUnsafeBytes(of: &address) { bytes in
            unsafe bytes.baseAddress.map {
                unsafe body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
    }
}

/// An open socket; `deinit` closes it.
@safe package struct Socket: ~Copyable {
    package let descriptor: Int32

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// A listening socket, whose port other workers may share (SO_REUSEPORT: the kernel spreads connections).
    package static func listening(on address: SocketAddress, sharingPort: Bool) throws(SystemError) -> Socket {
        let family = address.family ?? AF_INET
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = try syscall("socket") { Glibc.socket(family, kind, 0) }
        let socket = Socket(owning: descriptor)
        socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
        if sharingPort { socket.set(SOL_SOCKET, SO_REUSEPORT, 1) }
        if family == AF_INET6 { socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        // Accepted sockets inherit this. Responses are written whole: Nagle's algorithm would only delay them.
        socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        // SAFETY: the address outlives the call.
        let bound = unsafe address.withKernelAddress { unsafe bind(descriptor, $0, $1) } ?? -1
        guard bound == 0 else { throw SystemError("bind \(address)") }
        _ = try syscall("listen \(address)") { listen(descriptor, 4096) }
        return socket
    }

    /// Whether another process listens on `address`: with SO_REUSEPORT a second gateway would share the port unnoticed.
    package static func isTaken(_ address: SocketAddress) throws(SystemError) -> Bool {
        do throws(SystemError) {
            _ = try listening(on: address, sharingPort: false)
            return false
        } catch  where error.isAddressInUse {
            return true
        }
    }

    /// The bound port, also where the system chose it.
    package var localPort: UInt16 {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        // SAFETY: the kernel writes at most `length` bytes; the port is at the same place in both families.
        unsafe withUnsafeMutableBytes(of: &address) { bytes in
            if let base = bytes.baseAddress {
                _ = unsafe getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length)
            }
        }
        return UInt16(bigEndian: address.sin6_port)
    }

    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        // SAFETY: the kernel reads one Int32.
        unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// The result of `accept`.
enum Accepted {
    case socket(Int32)
    /// No connection waits.
    case none
    /// The process or the machine has no descriptors or memory left.
    case exhausted
}

func acceptConnection(on listener: Int32) -> Accepted {
    while true {
        // SAFETY: the peer's address is not asked for.
        let descriptor = clinux_accept4(
            listener, nil, nil, Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue))
        if descriptor >= 0 { return .socket(descriptor) }
        switch errno {
        case EINTR, ECONNABORTED, EPROTO: continue
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted
        default: return .none
        }
    }
}

/// The peer's numeric address, for logs.
func peerAddress(of descriptor: Int32) -> String {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var text = [CChar](repeating: 0, count: 64)
    // SAFETY: the kernel writes at most `length` bytes; inet_ntop writes at most `text.count` and terminates.
    let family = unsafe withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
        guard let base = bytes.baseAddress,
            unsafe getpeername(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
        else { return 0 }
        let family = Int32(unsafe base.load(as: sa_family_t.self))
        let offset = family == AF_INET ? 4 : 8
        unsafe inet_ntop(family, base + offset, &text, socklen_t(text.count))
        return family
    }
    guard family != 0 else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The peer's address as a number that distinguishes clients.
func peerNumber(of descriptor: Int32) -> UInt64 {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    // SAFETY: the kernel writes at most `length` bytes; all reads are within them.
    return unsafe withUnsafeMutableBytes(of: &address) { bytes in
        guard let base = bytes.baseAddress,
            unsafe getpeername(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length) == 0
        else { return 0 }
        guard Int32(unsafe base.load(as: sa_family_t.self)) == AF_INET6 else {
            return UInt64(UInt32(bigEndian: unsafe base.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        }
        return clientNumber(
            network: UInt64(bigEndian: unsafe base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            host: UInt64(bigEndian: unsafe base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
    }
}

/// The number of a client with an IPv6 address, given as two halves: the network, because one client may have all its
/// addresses. For an IPv4-mapped address, the IPv4 address.
func clientNumber(network: UInt64, host: UInt64) -> UInt64 { network == 0 ? host & 0xFFFF_FFFF : network }
