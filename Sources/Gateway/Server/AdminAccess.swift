internal import Policy

/// Who may ask the admin interface, which has no credentials: nobody but who knows its address.
///
/// A browser knows addresses, too, and runs pages of strangers. What such a page can do is to give its own name the address of
/// the admin interface (DNS rebinding), or to ask across origins; the browser then says so in `Host` and `Origin`. Probes and
/// scrapers ask by address, or by a name that policy tells.
enum AdminAccess {
    /// Why a request is refused.
    enum Refusal: Equatable { case foreignHost, foreignOrigin }

    /// The name of the field that says whose page asks, in lower case.
    static let origin = "origin"

    /// `host` is `nil` where a client of HTTP/1.0 sent none, which no browser is.
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

    /// Nothing, or a colon and what stands for a number: ports may be mapped, so that any will do.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || (text.first == ":" && text.dropFirst().allSatisfy { $0.isASCII && $0.isNumber })
    }
}
