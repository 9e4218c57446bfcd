internal import HTTP
internal import Policy

/// Which URLs of an answer are the upstream's own, and where clients find what they name: behind the gateway.
struct OwnPlaces: Sendable {
    /// Host and port as a URL may write them, in lower case, and the path in front of all others.
    private let roots: [(authority: [UInt8], base: [UInt8])]

    init(_ url: UpstreamURL, _ settings: UpstreamSettings) {
        var roots: [(authority: [UInt8], base: [UInt8])] = []
        for url in [url] + settings.endpoints {
            let name = url.host.contains(":") ? "[\(url.host)]" : url.host
            var authorities = ["\(name):\(url.port)"]
            if url.port == 80 || url.port == 443 { authorities.append(name) }
            // A service makes its URLs of the Host that it gets.
            if case .named(let host) = settings.host { authorities.append(host.lowercased()) }
            for authority in authorities { roots.append((Array(authority.utf8), Array(url.base.utf8))) }
        }
        self.roots = roots
    }

    /// A URL of the upstream as clients reach it; `nil` for any other text. Without `host`, the gateway's, it is a path.
    ///
    /// Either scheme will do: services that are told that their client speaks TLS write `https` where the gateway speaks plain
    /// HTTP to them.
    func mapped(_ value: [UInt8], host: [UInt8]) -> [UInt8]? {
        let text = value.span
        var start = 0
        for scheme in ["https:", "http:"] where text.count > scheme.utf8.count && start == 0 {
            if text.spells(scheme, in: 0..<scheme.utf8.count) { start = scheme.utf8.count }
        }
        guard text.count >= start + 2, value[start] == .slash, value[start + 1] == .slash else { return nil }
        start += 2
        let end = value[start...].firstIndex(where: Self.endsAuthority) ?? value.count
        for root in roots where Self.isSame(value[start..<end], root.authority) {
            let rest = value[end...]
            guard rest.starts(with: root.base) else { continue }
            var path = rest.dropFirst(root.base.count)
            guard path.first.map(Self.endsSegment) ?? true else { continue }
            if !host.isEmpty { return Self.scheme + host + (path.first == .slash ? [] : [.slash]) + path }
            // What begins with two slashes would name a host.
            while let first = path.first, first == .slash || first == UInt8(ascii: "\\") { path.removeFirst() }
            return [.slash] + path
        }
        return nil
    }

    private static let scheme = Array("https://".utf8)

    private static func isSame(_ text: ArraySlice<UInt8>, _ authority: [UInt8]) -> Bool {
        text.count == authority.count && zip(text, authority).allSatisfy { $0.lowered == $1 }
    }

    private static func endsAuthority(_ byte: UInt8) -> Bool {
        endsSegment(byte) || byte == UInt8(ascii: "\\")
    }

    private static func endsSegment(_ byte: UInt8) -> Bool {
        byte == .slash || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
    }
}

extension UpstreamResponse {
    /// Places of the upstream become paths of the gateway's.
    mutating func map(_ places: OwnPlaces) {
        for index in fields.indices where fields[index].name.spells("location") {
            guard let path = places.mapped(Array(fields[index].value.utf8), host: []) else { continue }
            fields[index].value = String(decoding: path, as: UTF8.self)
        }
    }
}
