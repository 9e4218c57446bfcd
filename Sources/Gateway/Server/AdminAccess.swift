internal import Policy

/// Checks `Host` and `Origin` of requests to the admin interface, which has no credentials.
///
/// The check is against browsers, which run pages of strangers. Such a page can give its own name the address of the
/// admin interface (DNS rebinding), or send requests across origins. The browser then shows that in `Host` and
/// `Origin`. Probes and scrapers use an address, or a name from `gateway.adminNames`.
enum AdminAccess {
    /// Why a request is refused.
    enum Refusal: Equatable { case foreignHost, foreignOrigin }

    /// The name of the field with the origin of the page that sends the request, in lower case.
    static let origin = "origin"

    /// `host` is `nil` if an HTTP/1.0 client sent none. No browser does that.
    static func refusal(host: String?, origins: [String], names: [String]) -> Refusal? {
        guard let host else { return origins.isEmpty ? nil : .foreignOrigin }
        guard isOwn(host.lowercased(), names) else { return .foreignHost }
        return origins.allSatisfy { $0.lowercased() == "http://\(host.lowercased())" } ? nil : .foreignOrigin
    }

    private static func isOwn(_ host: String, _ names: [String]) -> Bool {
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return false }
            return IPAddress.bytes(of: host[..<end].dropFirst()) != nil && isPort(host[end...].dropFirst())
        }
        let colon = host.firstIndex(of: ":") ?? host.endIndex
        let name = host[..<colon]
        guard isPort(host[colon...]) else { return false }
        return name == "localhost" || names.contains { $0 == name } || IPAddress.bytes(of: name) != nil
    }

    /// Whether `text` is empty, or a colon with digits. Any port is accepted, because ports may be mapped.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || (text.first == ":" && text.dropFirst().allSatisfy { $0.isASCII && $0.isNumber })
    }
}
