internal import Glibc

/// The result of a host name lookup.
package enum HostAddresses: Equatable, Sendable {
    /// At least one, without duplicates, in the order in which to try them.
    case found([SocketAddress])
    /// There is no such name, or it has no address.
    case notFound
    /// The name service cannot give a result now.
    case temporaryFailure
    case timedOut
}

/// Looks `host` up in the system's files, then in the name service. Blocks, for as long as the system needs.
package func lookUpHost(_ host: String) -> HostAddresses {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_UNSPEC
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    // SAFETY: the system reads a C string and the hints, and returns a list that is freed below.
    let status = unsafe getaddrinfo(host, nil, &hints, &list)
    defer { if unsafe list != nil { unsafe freeaddrinfo(list) } }
    switch status {
    case 0: break
    case EAI_NONAME, HostLookup.noData, HostLookup.noSuchFamily: return .notFound
    default: return .temporaryFailure
    }
    var found: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next, found.count < HostLookup.maxAddresses {
        // SAFETY: entries and their addresses live until the list is freed.
        if let address = unsafe numericAddress(entry.pointee.ai_addr), !found.contains(address) {
            found.append(address)
        }
        unsafe next = entry.pointee.ai_next
    }
    return found.isEmpty ? .notFound : .found(found)
}

private enum HostLookup {
    /// EAI_NODATA and EAI_ADDRFAMILY, which glibc declares for _GNU_SOURCE only.
    static let noData: Int32 = -5
    static let noSuchFamily: Int32 = -9
    /// The name service may be hostile: the number of its addresses is bounded.
    static let maxAddresses = 32
}

/// The address with port 0; `nil` if it is neither IPv4 nor IPv6.
@unsafe private func numericAddress(_ address: UnsafeMutablePointer<sockaddr>?) -> SocketAddress? {
    guard let address = unsafe address else { return nil }
    let family = unsafe Int32(address.pointee.sa_family)
    guard family == AF_INET || family == AF_INET6 else { return nil }
    var text = [CChar](repeating: 0, count: 64)
    // SAFETY: the bytes of the address follow family and port and, with IPv6, the flow; inet_ntop writes at most
    // `text.count` and terminates.
    let bytes = unsafe UnsafeRawPointer(address) + (family == AF_INET ? 4 : 8)
    guard unsafe inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
    return SocketAddress(
        host: String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self), port: 0)
}
