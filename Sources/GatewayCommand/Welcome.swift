import Foundation
import Gateway
import Policy
import Transport

/// What a start prints: where the gateway is, what it serves, and a line to paste.
struct Welcome {
    let server: GatewayServer
    let set: PolicySet
    let state: StateFolder
    let madeCertificate: Bool
    let isLocal: Bool

    func say(demoToken: String?) {
        for address in server.listening { Welcome.say("listening on https://\(address)") }
        if let admin = server.adminListening { Welcome.say("admin on http://\(admin)") }
        Welcome.say("policy version \(set.shortVersion)")
        if isLocal {
            Welcome.say(
                "certificate authority \(absolute(state.authorityFile))\(madeCertificate ? " (made just now)" : "")")
        }
        if set.organizations[Service.demoOrganization] != nil, let address = server.listening.first {
            let authority = isLocal ? "--cacert \(absolute(state.authorityFile)) " : ""
            let token = demoToken ?? "$TOKEN"
            let path =
                "/v1/organizations/\(Service.demoOrganization)/knowledge/connectors/connections/conn_abc123/state"
            Welcome.say("try:")
            Welcome.say("curl \(authority)-H 'Authorization: Bearer \(token)' https://\(reachable(address))\(path)")
        }
    }

    static func say(_ line: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8))
    }

    private func absolute(_ path: String) -> String { URL(fileURLWithPath: path).path }

    /// An address a client on this machine can use: a wildcard is reached as localhost, whose name is in the certificate.
    private func reachable(_ address: SocketAddress) -> String {
        ["0.0.0.0", "::", "127.0.0.1"].contains(address.host) ? "localhost:\(address.port)" : "\(address)"
    }
}
