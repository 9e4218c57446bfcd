package import Crypto
package import Journal
package import Transport

/// Where granted requests go.
package enum UpstreamMode: Sendable {
    /// To the connector service of this process.
    case inProcess(any InProcessUpstream)
    /// To one behind HTTP; what runs there is remembered in the folder of `journal`.
    case remote(UpstreamConfiguration, journal: any JournalStorage)
}

/// What the gateway is started with; policies, certificates and a remote upstream can be replaced while it runs.
package struct GatewayOptions: Sendable {
    package var listen: [SocketAddress]
    /// `nil`: there is no admin listener.
    package var admin: SocketAddress?
    /// Threads, each with its own loop and its own socket on each address.
    package var workers: Int
    package var upstream: UpstreamMode
    package var policies: PolicyStore
    /// For the addresses of `listen`; the admin listener speaks plain HTTP.
    package var context: TLSContext
    /// Where the workers leave their log lines; whoever made the queue writes them.
    package var log: AccessLogQueue
    /// How many files and sockets the process may have open.
    package var descriptors: Int
    /// Tells an operator what happens beside the requests, a line at a time.
    package var report: @Sendable (String) -> Void
    package var clock: WallClock

    package init(
        listen: [SocketAddress], admin: SocketAddress?, workers: Int, upstream: UpstreamMode,
        policies: PolicyStore, context: TLSContext, log: AccessLogQueue,
        descriptors: Int = .max, clock: WallClock = .system, report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.listen = listen
        self.admin = admin
        self.workers = workers
        self.upstream = upstream
        self.policies = policies
        self.context = context
        self.log = log
        self.descriptors = descriptors
        self.report = report
        self.clock = clock
    }
}

/// Why the gateway did not start. Its description is the one line a person needs.
package enum GatewayStartError: Error, CustomStringConvertible {
    case addressInUse(SocketAddress)
    case cannotListen(SocketAddress, SystemError)
    case system(SystemError)
    case upstream(UpstreamFailure)
    case journal(JournalError)

    package var description: String {
        switch self {
        case .addressInUse(let address):
            "\(address) is in use: stop what listens there, or choose another address with --listen or --admin"
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error)"
        case .system(let error): "the system refused: \(error)"
        case .upstream(let failure): "the connector service did not list its running jobs: \(failure)"
        case .journal(.noHeader(let name)):
            "\(JournalError.noHeader(name: name)), so nobody knows the leases: another version of the gateway wrote it, or it "
                + "is damaged; wait until its jobs have ended and move the file away, or start that version"
        case .journal(.disk(let error)):
            "the journal of leases cannot be read (\(error)): check the disk and the permissions of the state folder"
        }
    }
}
