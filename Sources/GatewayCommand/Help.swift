import Foundation

/// What the command says about itself.
enum Help {
    static let version = "0.1.0"

    static let overview = """
        gateway: a TLS gateway in front of a connector service

        usage: gateway [serve] [options]      serve (the default)
               gateway connectors [options]   serve the connector service alone, for a gateway on another machine
               gateway policy check [DIR]     check a policy folder: all mistakes at once, exit 1 if there are any
               gateway token create [NAME]    make a token: prints it once, and the policy entry to paste
               gateway COMMAND --help         the options of a command
               gateway --version
        """

    static let serve = """
        usage: gateway [serve] [--listen HOST:PORT] [--admin HOST:PORT|off] [--policies DIR] [--state DIR] [--workers N]

          --listen HOST:PORT   where clients connect with TLS; port 0 lets the system choose   GATEWAY_LISTEN
          --admin HOST:PORT    health, metrics and policy status over plain HTTP, or "off"     GATEWAY_ADMIN
          --policies DIR       the policy folder (default: policies)                           GATEWAY_POLICIES
          --state DIR          certificates, tokens and data of this gateway (default: state)  GATEWAY_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_WORKERS

        A flag wins over its variable, and both win over policies/gateway.json5.
        Signals: SIGTERM and SIGINT drain and stop (twice: at once), SIGHUP reloads policies and certificates.
        """

    static let connectors = """
        usage: gateway connectors [--listen HOST:PORT] [--state DIR] [--workers N]

        Serves the connector service alone, over plain HTTP, to a gateway in front of it: in that gateway's policy,
        gateway: { upstream: { url: "http://HOST:PORT" } }. It believes X-Gateway-Organization and asks for no token: only
        the gateway may reach it.

          --listen HOST:PORT   where the gateway connects (default: 127.0.0.1:8445)            GATEWAY_CONNECTORS_LISTEN
          --state DIR          data of this service; not a gateway's own (default: state)      GATEWAY_CONNECTORS_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_CONNECTORS_WORKERS

        A flag wins over its variable. GET /healthz tells whether it lives.
        Signals: SIGTERM and SIGINT finish the requests in flight and stop (twice: at once); running jobs stop at their last
        checkpoint and go on after the next start.
        """

    static let token = """
        usage: gateway token create [NAME] [--scopes SCOPE,SCOPE] [--expires YYYY-MM-DDTHH:MM:SSZ]

        Prints a new token to standard output once, and the policy entry that makes it valid (its SHA-256 only) to standard
        error. Paste the entry below organizations.ORG.tokens in the policy folder.
        """

    /// Prints one line that says what is wrong and where to read on; the exit status of a misuse.
    static func refuse(_ reason: String, usage: String) -> Int32 {
        complain("\(reason) (see \(usage))")
        return 2
    }

    static func complain(_ text: String) {
        // A reader that went away, or a full disk under it, does not stop the gateway.
        try? FileHandle.standardError.write(contentsOf: Data("gateway: \(text)\n".utf8))
    }
}
