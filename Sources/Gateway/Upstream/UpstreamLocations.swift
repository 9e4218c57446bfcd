internal import Bytes
internal import HTTP
internal import Policy

/// Recognizes the upstream's own URLs in a response, and maps them to the gateway's URLs for the same resources.
///
/// A URL is internal if it names a host of the upstream but cannot be reached through the gateway, for example with
/// another port, or a path outside the endpoint's. Internal URLs are not sent to clients.
struct UpstreamLocations: Sendable {
    private struct Root: Sendable {
        /// A name in lower case, or an address; an IPv6 address is in brackets.
        let host: [UInt8]
        /// The ports that a URL may name. An empty one means that a URL may omit the port.
        let ports: [[UInt8]]
        /// The path of the endpoint's URL. All paths of the endpoint begin with it.
        let base: [UInt8]
    }

    private let roots: [Root]

    init(_ url: UpstreamURL, _ settings: UpstreamSettings) {
        var roots: [Root] = []
        for url in [url] + settings.endpoints {
            let base = Array(url.base.utf8)
            let name = url.host.contains(":") ? "[\(url.host)]" : url.host
            var ports = [Array(String(url.port).utf8)]
            if url.port == 80 || url.port == 443 { ports.append([]) }
            roots.append(Root(host: Array(name.utf8), ports: ports, base: base))
            // A service builds its URLs from the `Host` that it receives.
            if case .named(let host) = settings.host {
                let (name, port) = Self.parts(of: Array(host.lowercased().utf8)[...])
                let ports = port.isEmpty ? [[], Array("80".utf8), Array("443".utf8)] : [Array(port)]
                roots.append(Root(host: Array(name), ports: ports, base: base))
            }
        }
        self.roots = roots
    }

    /// What a client gets for a URL.
    enum Location: Equatable {
        /// The URL is not the upstream's, or names no host. It stays unchanged.
        case elsewhere
        /// The gateway's URL for the same resource.
        case mapped([UInt8])
        /// The URL is internal. Clients do not get it.
        case inside
    }

    /// `host` is the authority of the client's request. If it is empty, a mapped location is a path.
    ///
    /// Both schemes are accepted: a service that knows that its client speaks TLS writes `https`, even if the gateway
    /// speaks plain HTTP to it.
    func location(of value: [UInt8], host: [UInt8]) -> Location {
        // Browsers ignore tabs, read a backslash as a slash, and accept any number of slashes after a scheme, including
        // none.
        let value = value.contains(0x09) ? value.filter { $0 != 0x09 } : value
        let text = value.span
        var start = 0
        for scheme in ["https:", "http:"] where text.count > scheme.utf8.count && start == 0 {
            if text.spells(scheme, in: 0..<scheme.utf8.count) { start = scheme.utf8.count }
        }
        let slashes = value[start...].prefix(while: Self.isSlash).count
        guard start > 0 || slashes >= 2 else { return .elsewhere }
        start += slashes
        let end = value[start...].firstIndex(where: Self.endsAuthority) ?? value.count
        // The gateway's own authority, which may be on a host of the upstream.
        if Self.isSame(value[start..<end], host) { return .elsewhere }
        let (name, port) = Self.parts(of: value[start..<end])
        var isOwn = false
        for root in roots where Self.isSame(name, root.host) {
            isOwn = true
            let rest = value[end...]
            guard root.ports.contains(where: port.elementsEqual), rest.starts(with: root.base) else { continue }
            var path = rest.dropFirst(root.base.count)
            guard path.first.map(Self.endsSegment) ?? true, !Self.climbs(path) else { continue }
            if !host.isEmpty { return .mapped(Self.scheme + host + (path.first == .slash ? [] : [.slash]) + path) }
            // A path that begins with two slashes would name a host.
            while let first = path.first, Self.isSlash(first) { path.removeFirst() }
            return .mapped([.slash] + path)
        }
        return isOwn ? .inside : .elsewhere
    }

    private static let scheme = Array("https://".utf8)

    /// Host and port, without user information, and without the final dot of an absolute name.
    private static func parts(of authority: ArraySlice<UInt8>) -> (host: ArraySlice<UInt8>, port: ArraySlice<UInt8>) {
        let start = authority.lastIndex(of: UInt8(ascii: "@")).map { $0 + 1 } ?? authority.startIndex
        let bare = authority[start...]
        let colon = bare.lastIndex(of: .colon)
        // The colons of an IPv6 address are in its brackets.
        let split = colon.flatMap { bare[$0...].contains(UInt8(ascii: "]")) ? nil : $0 } ?? bare.endIndex
        var host = bare[..<split]
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        return (host, bare[split...].dropFirst())
    }

    private static func isSame(_ text: ArraySlice<UInt8>, _ known: [UInt8]) -> Bool {
        text.count == known.count && zip(text, known).allSatisfy { $0.lowercased == $1.lowercased }
    }

    private static func isSlash(_ byte: UInt8) -> Bool { byte == .slash || byte == UInt8(ascii: "\\") }

    private static func endsAuthority(_ byte: UInt8) -> Bool { endsSegment(byte) || isSlash(byte) }

    private static func endsSegment(_ byte: UInt8) -> Bool {
        byte == .slash || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
    }

    /// Whether a path has a dot-dot segment, which could lead out of the base path (RFC 3986, section 5.2.4).
    private static func climbs(_ path: ArraySlice<UInt8>) -> Bool {
        let path = path.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return path.split(whereSeparator: isSlash).contains { segment in
            // Browsers read `%2e` as a dot.
            let text = String(decoding: segment, as: UTF8.self).lowercased()
            return ["..", ".%2e", "%2e.", "%2e%2e"].contains(text)
        }
    }
}

/// The fields of a response that name locations.
extension UpstreamLocations {
    enum Field {
        /// `Location` and `Content-Location`: one URL.
        case location
        /// `Link` (RFC 8288): several URLs, in angle brackets.
        case link
        /// `Refresh`: one URL, after a number of seconds.
        case refresh

        init?(_ field: HeadField, _ bytes: Span<UInt8>) {
            if field.name == .location {
                self = .location
            } else {
                guard field.name == .other else { return nil }
                self.init(bytes, field.nameRange)
            }
        }

        /// The kind of the field with this name, except `Location`, which the parser has already recognized.
        init?(_ bytes: Span<UInt8>, _ name: Range<Int>) {
            switch name.count {
            case 4 where bytes.spells("link", in: name): self = .link
            case 7 where bytes.spells("refresh", in: name): self = .refresh
            case 16 where bytes.spells("content-location", in: name): self = .location
            default: return nil
            }
        }

        /// Whether a name of this length can be one of the fields. Few other names have such a length.
        static func isPossible(_ count: Int) -> Bool { count == 4 || count == 7 || count == 16 }
    }

    /// The value that clients get: unchanged, mapped, or none.
    func location(of value: [UInt8], in field: Field, host: [UInt8]) -> Location {
        switch field {
        case .location: location(of: value, host: host)
        case .link: links(value, host)
        case .refresh: refresh(value, host)
        }
    }

    private func links(_ value: [UInt8], _ host: [UInt8]) -> Location {
        var kept: [[UInt8]] = []
        var isSame = true
        for link in Self.elements(of: value) {
            guard let open = link.firstIndex(of: UInt8(ascii: "<")),
                let close = link[open...].firstIndex(of: UInt8(ascii: ">"))
            else {
                // A member that is no link is kept unless it names a host of the upstream.
                if names(link) { isSame = false } else { kept.append(Array(link)) }
                continue
            }
            // Parameters such as `anchor` may contain URLs, too.
            if names(link[close...]) {
                isSame = false
                continue
            }
            switch location(of: Array(link[open + 1..<close]), host: host) {
            case .elsewhere: kept.append(Array(link))
            case .mapped(let url):
                isSame = false
                kept.append(link[...open] + url + link[close...])
            case .inside: isSame = false
            }
        }
        if isSame { return .elsewhere }
        return kept.isEmpty ? .inside : .mapped(Array(kept.joined(separator: [UInt8(ascii: ",")])))
    }

    /// Whether the text contains a host of the upstream at a place where a URL would have it.
    private func names(_ text: ArraySlice<UInt8>) -> Bool {
        let text = text.map(\.lowercased)
        let starts = text.indices.dropFirst().filter {
            Self.isSlash(text[$0 - 1]) || text[$0 - 1] == UInt8(ascii: "@")
        }
        return roots.contains { root in starts.contains { text[$0...].starts(with: root.host) } }
    }

    /// The members of a list. Commas in angle brackets or quotes do not separate members.
    private static func elements(of value: [UInt8]) -> [ArraySlice<UInt8>] {
        var elements: [ArraySlice<UInt8>] = []
        var start = 0
        var end: UInt8?
        var index = 0
        while index < value.count {
            switch (value[index], end) {
            case (UInt8(ascii: "\\"), UInt8(ascii: "\"")): index += 1
            case (let byte, let closing?): if byte == closing { end = nil }
            case (UInt8(ascii: "<"), nil): end = UInt8(ascii: ">")
            case (UInt8(ascii: "\""), nil): end = UInt8(ascii: "\"")
            case (UInt8(ascii: ","), nil):
                elements.append(value[start..<index])
                start = index + 1
            default: break
            }
            index += 1
        }
        return elements + [value[start...]]
    }

    /// The location in `5; url=http://...`, in quotes or not.
    private func refresh(_ value: [UInt8], _ host: [UInt8]) -> Location {
        guard let equals = value.firstIndex(of: UInt8(ascii: "=")) else { return .elsewhere }
        var start = equals + 1
        func isAround(_ byte: UInt8) -> Bool { byte == 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }
        while start < value.count, isAround(value[start]) { start += 1 }
        guard let last = value[start...].lastIndex(where: { !isAround($0) }) else { return .elsewhere }
        let location = location(of: Array(value[start...last]), host: host)
        guard case .mapped(let url) = location else { return location }
        return .mapped(value[..<start] + url + value[(last + 1)...])
    }
}

extension UpstreamResponse {
    /// Replaces the upstream's URLs in `Location` with paths of the gateway.
    mutating func map(_ locations: UpstreamLocations) {
        for index in fields.indices where fields[index].name.spells("location") {
            guard case .mapped(let path) = locations.location(of: Array(fields[index].value.utf8), host: []) else {
                continue
            }
            fields[index].value = String(decoding: path, as: UTF8.self)
        }
    }
}
