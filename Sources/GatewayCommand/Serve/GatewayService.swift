import Connectors
import Crypto
import Gateway
import Journal
import Policy
import Transport

/// A running gateway with the parts that are not on the data path: policy files, certificates, secrets, and the
/// connector service if it is in this process.
final class GatewayService: Sendable {
    let server: GatewayServer
    let policies: PolicyStore
    let reloader: Reloader
    /// The lines to print when the gateway responds to requests.
    let banner: StartupBanner
    /// `nil` if the upstream is remote.
    private let connectors: ConnectorService?
    private let state: StateFolder
    private let logWriter: AccessLogWriter
    private let periodicTasks: PeriodicTasks
    private let fileWatch: FileWatch
    private let report: @Sendable (String) -> Void

    /// Reads all files, then binds the addresses. The gateway responds to requests when this returns.
    static func start(_ options: ServeOptions) async throws -> GatewayService {
        let descriptors = raiseDescriptorLimit()
        let state = try StateFolder(path: options.stateFolder)
        let files = FileSources(policyFolder: options.policyFolder, state: state)
        let initial = try InitialPolicies(
            files.policies, state, showDiagnostics: options.showDiagnostics, showToken: options.showToken)
        let settings = initial.set.settings
        let addresses = try ListenOptions(options.flags, settings)
        let ticketKeys = TicketKeys()
        let certificates = try files.certificates.load(settings.tls, keys: ticketKeys)
        let policies = initial.store(over: files.policies)
        let upstream = try settings.upstream.map { try files.upstreams.load($0) }
        let connectors: ConnectorService?
        let mode: UpstreamMode
        if let upstream {
            connectors = nil
            mode = .remote(upstream, journal: JournalFolder(path: state.path))
        } else {
            let service = try ConnectorService.start(in: state, at: options.pace)
            connectors = service
            mode = .inProcess(ConnectorUpstream(service: service))
        }
        let log = AccessLogQueue()
        let logWriter = try AccessLogWriter(log, write: options.writeLog)
        let server = try await startServer(
            .init(
                listen: addresses.listen, admin: addresses.admin, workers: addresses.workers,
                upstream: mode, idempotency: JournalFolder(path: state.path), policies: policies,
                context: certificates.context,
                log: log, descriptors: descriptors, report: options.report),
            connectors)
        let reloader = Reloader(
            of: server, policies: policies, files: files, ticketKeys: ticketKeys, upstream: upstream,
            fixedSettings: FixedSettings(settings, overridden: options.flags.overridden), report: options.report,
            showWarning: options.showWarning)
        try reloader.begin()
        return GatewayService(
            server, policies, reloader,
            StartupBanner(
                server: server, set: initial.set, state: state, isNewAuthority: certificates.isNewAuthority,
                isLocal: certificates.isLocal, demoToken: initial.demoToken),
            connectors, state, logWriter, files, ticketKeys, options.report)
    }

    private init(
        _ server: GatewayServer, _ policies: PolicyStore, _ reloader: Reloader, _ banner: StartupBanner,
        _ connectors: ConnectorService?, _ state: StateFolder, _ logWriter: AccessLogWriter, _ files: FileSources,
        _ ticketKeys: TicketKeys, _ report: @escaping @Sendable (String) -> Void
    ) {
        self.server = server
        self.policies = policies
        self.reloader = reloader
        self.banner = banner
        self.connectors = connectors
        self.state = state
        self.logWriter = logWriter
        self.report = report
        let requests = reloader.requests
        periodicTasks = PeriodicTasks(policies: policies, ticketKeys: ticketKeys, requests: requests)
        fileWatch = FileWatch(files: files, policies: policies, requests: requests, report: report)
    }

    private static func startServer(
        _ options: GatewayOptions, _ connectors: ConnectorService?
    ) async throws(StartupError) -> GatewayServer {
        do throws(GatewayStartError) { return try await GatewayServer.start(options) } catch {
            await connectors?.shutdown()
            throw StartupError(line: error.description)
        }
    }

    /// Serves until a signal ends it, then drains and stops.
    func run(until signals: SignalThread) async {
        let watch = fileWatch.begin()
        defer { _ = watch }
        let (requests, periodicTasks) = (reloader.requests, periodicTasks)
        let isOrderly = await signals.awaitStop(
            SignalActions(
                reload: { requests.add(.signal) }, tick: { periodicTasks.run() }, drain: { self.drain($0) }))
        await stop(logTimeout: isOrderly ? .seconds(2) : .milliseconds(100))
        report("stopped")
    }

    private func drain(_ signals: Signals) -> Bool {
        let timeouts = policies.current.settings.timeouts
        report("draining: /readyz fails now, and the gateway closes its listeners in \(timeouts.drainDelay)")
        server.failReadiness()
        guard signals.wait(until: Instant.now() + timeouts.drainDelay) else { return false }
        server.beginDrain()
        return signals.wait(until: Instant.now() + timeouts.drain, or: { self.server.openConnections == 0 })
    }

    /// Stops all parts without waiting for requests. `logTimeout` is the time for the last lines of the access log.
    func stop(logTimeout: Duration) async {
        server.stop()
        await connectors?.shutdown()
        if !(await logWriter.finish(within: logTimeout)) {
            report("the reader of the access log did not read its last lines in time: they are lost")
        }
    }

    /// Ends the reloads and unlocks the state folder after `stop`, in a process that continues.
    func release() {
        reloader.requests.end()
        state.release()
    }
}
