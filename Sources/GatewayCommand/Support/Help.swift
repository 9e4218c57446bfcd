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

        Exit code: 0 if it did what it was told, 1 if it could not, 2 if it was not understood.
        """

    static let serve = """
        usage: gateway [serve] [--listen HOST:PORT] [--admin HOST:PORT|off] [--policies DIR] [--state DIR] [--workers N]

          --listen HOST:PORT   where clients connect with TLS; port 0 lets the system choose   GATEWAY_LISTEN
          --admin HOST:PORT    health, metrics and policy status over plain HTTP, or "off"     GATEWAY_ADMIN
          --policies DIR       the policy folder (default: policies)                           GATEWAY_POLICIES
          --state DIR          certificates, tokens and data of this gateway (default: state)  GATEWAY_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_WORKERS

        A flag wins over its variable, and both win over policies/gateway.json5.
        The access log, JSON lines only, goes to standard output; all that people need to know goes to standard error.
        Signals: SIGTERM, SIGINT and SIGQUIT drain and stop (twice: without waiting for requests in flight), SIGHUP reloads
        policies and certificates; SIGUSR1 and SIGUSR2 are ignored.
        Exit code: 0 after such a signal, 1 if it cannot serve or had to be cut off while it stopped, 2 for misuse.
        """

    static let connectors = """
        usage: gateway connectors [--listen HOST:PORT] [--state DIR] [--workers N]

        Serves the connector service alone, over plain HTTP, to a gateway in front of it: in that gateway's policy,
        gateway: { upstream: { url: "http://HOST:PORT", ownCredential: "none" } }. It believes X-Gateway-Organization and
        asks for no token: only the gateway may reach it.

          --listen HOST:PORT   where the gateway connects (default: 127.0.0.1:8445)            GATEWAY_CONNECTORS_LISTEN
          --state DIR          data of this service; not a gateway's own (default: state)      GATEWAY_CONNECTORS_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_CONNECTORS_WORKERS

        A flag wins over its variable. GET /healthz tells whether it lives.
        Signals: SIGTERM, SIGINT and SIGQUIT finish the requests in flight and stop (twice: without waiting for them); running
        jobs stop at their last checkpoint and go on after the next start. SIGUSR1 and SIGUSR2 are ignored.
        Exit code: 0 after such a signal, 1 if it cannot serve or had to be cut off while it stopped, 2 for misuse.
        """

    static let token = """
        usage: gateway token create [NAME] [--scopes SCOPE,SCOPE] [--expires TIME] [--policies DIR]

        Prints a new token to standard output once, and the policy entry that makes it valid (its SHA-256 only) to standard
        error. Paste the entry below organizations.ORG.tokens in the policy folder.

          --scopes SCOPE,...   what it may do (default: connectors:read,connectors:run)
          --expires TIME       when it ends: a day (2027-01-31, its first moment in UTC), or a time in UTC
                               (2027-01-31T12:00:00Z) or with an offset (2027-01-31T12:00:00+01:00)
          --policies DIR       where the scopes are declared (default: policies)               GATEWAY_POLICIES

        A scope that the policies do not declare is refused. Where the default folder cannot be read, only the form of the
        scopes is checked.
        Exit code: 0 with a token, 1 if the policies cannot be read, 2 for misuse.
        """

    /// Prints one line that says what is wrong and where to read on; the exit status of a misuse.
    static func refuse(_ reason: String, usage: String) -> Int32 {
        report("\(reason) (see \(usage))")
        return 2
    }

    static func report(_ text: String) { StandardError.writeLine("gateway: \(text)") }
}
