package import Crypto
package import Journal
package import Transport

/// The upstream of granted requests.
package enum UpstreamMode: Sendable {
    /// The connector service of this process.
    case inProcess(any InProcessUpstream)
    /// A connector service behind HTTP. `journal` stores the leases of its jobs.
    case remote(UpstreamConfiguration, journal: any JournalStorage)
}

/// The options of the gateway at start. Policies, certificates and a remote upstream can be replaced later.
package struct GatewayOptions: Sendable {
    package var listen: [SocketAddress]
    /// `nil` means no admin listener.
    package var admin: SocketAddress?
    /// The number of threads. Each has its own loop, and its own socket for each address.
    package var workers: Int
    package var upstream: UpstreamMode
    /// Stores the records of idempotency keys; `nil`: they end with the process.
    package var idempotency: (any JournalStorage)?
    package var policies: PolicyStore
    /// For the addresses of `listen`. The admin listener speaks plain HTTP.
    package var context: TLSContext
    /// Receives the workers' log lines. Its creator writes them out.
    package var log: AccessLogQueue
    /// The maximum number of open files and sockets of the process.
    package var descriptors: Int
    /// Gets lines for the operator about events outside requests.
    package var report: @Sendable (String) -> Void
    package var clock: WallClock

    package init(
        listen: [SocketAddress], admin: SocketAddress?, workers: Int, upstream: UpstreamMode,
        idempotency: (any JournalStorage)? = nil, policies: PolicyStore, context: TLSContext, log: AccessLogQueue,
        descriptors: Int = .max, clock: WallClock = .system, report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.listen = listen
        self.admin = admin
        self.workers = workers
        self.upstream = upstream
        self.idempotency = idempotency
        self.policies = policies
        self.context = context
        self.log = log
        self.descriptors = descriptors
        self.report = report
        self.clock = clock
    }
}

/// Why the gateway did not start. The description is one line for the operator.
package enum GatewayStartError: Error, CustomStringConvertible {
    case addressInUse(SocketAddress)
    case cannotListen(SocketAddress, SystemError)
    case system(SystemError)
    case upstream(UpstreamFailure)
    case journal(JournalError)
    case idempotencyJournal(JournalError)

    package var description: String {
        switch self {
        case .addressInUse(let address):
            "\(address) is in use: stop the process that listens there, or choose another address with --listen or --admin"
        case .cannotListen(let address, let error): "cannot listen on \(address): \(error)"
        case .system(let error): "the gateway cannot start: \(error)"
        case .upstream(let failure): "the connector service did not list its running jobs: \(failure.explanation)"
        case .journal(.noHeader(let name)):
            "\(name) has no journal header of this version, so the leases are unknown: it is damaged, or another version of the "
                + "gateway wrote it; wait until its jobs have ended and move the file away, or start that version"
        case .idempotencyJournal(.noHeader(let name)):
            "\(name) has no journal header of this version, so nobody knows which requests were executed: it is damaged, or another "
                + "version of the gateway wrote it; start that version, or move the file away when no client repeats an old request"
        case .idempotencyJournal(.disk(let error)):
            "the idempotency journal cannot be read (\(error)): check the disk and the permissions of the state folder"
        case .journal(.disk(let error)):
            "the lease journal cannot be read (\(error)): check the disk and the permissions of the state folder"
        }
    }
}
