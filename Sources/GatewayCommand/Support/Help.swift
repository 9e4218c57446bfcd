/// The help texts of the command.
enum Help {
    static let version = "0.1.0"

    static let overview = """
        gateway: a TLS gateway in front of a connector service

        usage: gateway [serve] [options]      serve (the default)
               gateway connectors [options]   serve only the connector service, to a gateway on another machine
               gateway policy check [DIR]     check a policy folder, and print all errors
               gateway token create [NAME]    make a token, and print it once with its policy entry
               gateway COMMAND --help         the options of a command
               gateway --version

        Exit code: 0 if the command succeeded, 1 if it failed, 2 if the command line is wrong.
        """

    static let serve = """
        usage: gateway [serve] [--listen HOST:PORT] [--admin HOST:PORT|off] [--policies DIR] [--state DIR] [--workers N]

          --listen HOST:PORT   where clients connect with TLS; port 0 lets the system choose   GATEWAY_LISTEN
          --admin HOST:PORT    health, metrics and policy status over plain HTTP, or "off"     GATEWAY_ADMIN
          --policies DIR       the policy folder (default: policies)                           GATEWAY_POLICIES
          --state DIR          certificates, tokens and data of this gateway (default: state)  GATEWAY_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_WORKERS

        A flag overrides its variable, and both override policies/gateway.json5.
        The access log goes to standard output, as JSON lines only. Messages for people go to standard error.
        Signals: SIGTERM, SIGINT and SIGQUIT let the requests in flight finish, and stop. A second one stops at once. SIGHUP
        reloads policies and certificates. SIGUSR1 and SIGUSR2 are ignored.
        Exit code: 0 after a signal, 1 if the gateway cannot serve or did not stop in time, 2 if the command line is wrong.
        """

    static let connectors = """
        usage: gateway connectors [--listen HOST:PORT] [--state DIR] [--workers N]

        Serves only the connector service, over plain HTTP, to a gateway on another machine. The policy of that gateway has
        gateway: { upstream: { url: "http://HOST:PORT", ownCredential: "none" } }. The service checks no token and trusts
        X-Gateway-Organization: allow only the gateway to connect.

          --listen HOST:PORT   where the gateway connects (default: 127.0.0.1:8445)            GATEWAY_CONNECTORS_LISTEN
          --state DIR          data of this service, not of a gateway (default: state)         GATEWAY_CONNECTORS_STATE
          --workers N          event loops, one core each (default: all cores)                 GATEWAY_CONNECTORS_WORKERS

        A flag overrides its variable. GET /healthz responds with 200 while the service runs.
        Signals: SIGTERM, SIGINT and SIGQUIT let the requests in flight finish, and stop. A second one stops at once. Running
        jobs stop at their last checkpoint, and continue after the next start. SIGUSR1 and SIGUSR2 are ignored.
        Exit code: 0 after a signal, 1 if the service cannot serve or did not stop in time, 2 if the command line is wrong.
        """

    static let token = """
        usage: gateway token create [NAME] [--scopes SCOPE,SCOPE] [--expires TIME] [--policies DIR]

        Prints a new token to standard output, and to standard error the policy entry that makes it valid. The entry has only
        the SHA-256 of the token. Paste the entry below organizations.ORG.tokens in the policy folder.

          --scopes SCOPE,...   the scopes of the token (default: connectors:read,connectors:run)
          --expires TIME       when the token expires: a day (2027-01-31, at 00:00 UTC), or a time in UTC
                               (2027-01-31T12:00:00Z) or with an offset (2027-01-31T12:00:00+01:00)
          --policies DIR       the policies that declare the scopes (default: policies)        GATEWAY_POLICIES

        The command refuses a scope that the policies do not declare. If the default folder cannot be read, it checks only the
        characters of the scopes.
        Exit code: 0 with a token, 1 if the policies cannot be read, 2 if the command line is wrong.
        """

    /// Prints what is wrong with the command line and names the help text. Returns the exit code of a wrong command line.
    static func refuse(_ reason: String, usage: String) -> Int32 {
        report("\(reason) (see \(usage))")
        return 2
    }

    static func report(_ text: String) { StandardError.writeLine("gateway: \(text)") }
}
