internal import Bytes

/// An endpoint: `http` or `https`, a host, a port, and the path that is prefixed to every target.
package struct UpstreamURL: Hashable, Sendable, CustomStringConvertible {
    package var isTLS: Bool
    /// A name or numeric address, IPv6 without brackets, in lower case.
    package var host: String
    /// The scheme's default if the URL has none.
    package var port: UInt16
    /// Empty, or a path that begins with a slash and does not end with one.
    package var base: String

    package init(isTLS: Bool, host: String, port: UInt16, base: String = "") {
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.base = base
    }

    /// The value of `Host`: without the port if it is the scheme's default (RFC 9110, section 7.2).
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }

    package var description: String { "\(isTLS ? "https" : "http")://\(authority)\(base)" }
}

extension UpstreamURL {
    /// Reads the URL of an endpoint: no user, no query, no fragment, and a path that cannot be read in two ways.
    init(reading text: String) throws(UnitError) {
        // Checked first: no other message may show the password.
        guard !text.contains("@") else {
            throw UnitError(
                .badURL, "the URL must not contain a user or a password",
                "put the credential into a file: credential: { header: \"Authorization\", secretFile: \"secrets/upstream\" }",
                isSecret: true)
        }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw UnitError(
                .badURL, "the URL must be ASCII without spaces",
                "write a host name with other characters in its ASCII form: \"xn--...\"")
        }
        for (mark, name) in [("?", "query"), ("#", "fragment")] where text.contains(mark) {
            throw UnitError(
                .badURL, "the URL of an endpoint must not have a \(name)",
                "remove \"\(mark)\" and what follows it: the gateway sends the query of each request")
        }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
            throw UnitError(.badURL, "the URL has no scheme", "begin it with \"http://\" or \"https://\"")
        }
        let scheme = text[..<colon].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw UnitError(
                .badURL, "the scheme must be http or https, not \"\(scheme)\"",
                "begin the URL with \"http://\" or \"https://\"")
        }
        let rest = text[colon...].dropFirst(3)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = try HostAndPort(reading: rest[..<slash], .badURL)
        let isTLS = scheme == "https"
        self.init(
            isTLS: isTLS, host: authority.host, port: authority.port ?? (isTLS ? 443 : 80),
            base: try Self.base(rest[slash...]))
    }

    private static func base(_ path: Substring) throws(UnitError) -> String {
        guard !path.isEmpty else { return "" }
        guard !path.hasSuffix("/") else {
            throw UnitError(
                .badURL, "the URL ends with a slash", "remove the slash: the path of each request begins with one")
        }
        for segment in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard !segment.isEmpty else { throw UnitError(.badURL, "the path has an empty segment (\"//\")") }
            guard segment != ".", segment != ".." else {
                throw UnitError(
                    .badURL, "the path has the segment \"\(segment)\"", "write the path without \".\" and \"..\"")
            }
            guard segment.utf8.allSatisfy({ $0.isUnreserved || $0 == UInt8(ascii: ":") }) else {
                throw UnitError(
                    .badURL, "\"\(segment)\" is not a valid segment of the path",
                    "a segment consists of letters, digits, \"-\", \".\", \"_\", \"~\" and \":\"")
            }
        }
        return String(path)
    }
}
