import Bytes
import Foundation
import Gateway
import Policy
import Transport

/// The lines that a start prints: the addresses, the policy version, and a command to paste.
struct StartupBanner {
    let server: GatewayServer
    let set: PolicySet
    let state: StateFolder
    let isNewAuthority: Bool
    let isLocal: Bool
    /// The demo token if this start made it. Its text is not stored, so it can be shown only now.
    let demoToken: String?

    func show() {
        for address in server.listening { StartupBanner.show("listening on https://\(address)") }
        if let admin = server.adminListening { StartupBanner.show("admin on http://\(admin)") }
        StartupBanner.show("policy version \(set.shortVersion)")
        if isLocal {
            StartupBanner.show(
                "certificate authority \(absolute(state.authorityFile))\(isNewAuthority ? " (new)" : "")")
        }
        if set.organizations[Organization.demoID] != nil, let address = server.listening.first {
            let authority = isLocal ? "--cacert \(quoted(absolute(state.authorityFile))) " : ""
            let token = demoToken ?? "$TOKEN"
            let path =
                "/v1/organizations/\(Organization.demoID)/knowledge/connectors/connections/conn_abc123/state"
            StartupBanner.show(
                demoToken == nil
                    ? "try this, with TOKEN set to the demo token that the first start printed (to get a new token, delete \(absolute(state.demoTokenFile)) and start again):"
                    : "try:")
            StartupBanner.show(
                "curl \(authority)-H \"Authorization: Bearer \(token)\" https://\(reachable(address))\(path)")
        }
    }

    /// Prints a line to standard error, because standard output has JSON lines only.
    static func show(_ line: String) { StandardError.writeLine(line) }

    /// The path as one word of a shell command.
    private func quoted(_ path: String) -> String {
        let isPlain = path.utf8.allSatisfy { $0.isLetterOrDigit || "/._-+:,@%".utf8.contains($0) }
        return isPlain ? path : "'\(path.replacingOccurrences(of: "'", with: "'\\''"))'"
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }

    /// An address for a client on this machine. For a wildcard address it is `localhost`, because that name is in the
    /// certificate.
    private func reachable(_ address: SocketAddress) -> String {
        ["0.0.0.0", "::", "127.0.0.1"].contains(address.host) ? "localhost:\(address.port)" : "\(address)"
    }
}
