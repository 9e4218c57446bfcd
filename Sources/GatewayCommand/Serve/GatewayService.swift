import Connectors
import Crypto
import Gateway
import Journal
import Policy
import Transport

/// A served gateway with the parts that live beside the data path: policy files, certificates, secrets, and the connector
/// service where it is in this process.
final class GatewayService: Sendable {
    let server: GatewayServer
    let policies: PolicyStore
    let reloader: Reloader
    /// What a person reads once requests are answered.
    let banner: StartupBanner
    /// `nil` where the upstream is remote.
    private let connectors: ConnectorService?
    private let state: StateFolder
    private let logWriter: AccessLogWriter
    private let upkeep: Upkeep
    private let fileWatch: FileWatch
    private let report: @Sendable (String) -> Void

    /// Reads all files, then binds the addresses. Requests are answered when it returns.
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
                upstream: mode, policies: policies, context: certificates.context,
                log: log, descriptors: descriptors, report: options.report),
            connectors)
        let reloader = Reloader(
            of: server, policies: policies, files: files, ticketKeys: ticketKeys, upstream: upstream,
            start: StartSettings(settings, overridden: options.flags.overridden), report: options.report,
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
        upkeep = Upkeep(policies: policies, ticketKeys: ticketKeys, requests: requests)
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
        let (requests, upkeep) = (reloader.requests, upkeep)
        let isOrderly = await signals.awaitStop(
            SignalActions(
                reload: { requests.ask(because: .signal) }, tick: { upkeep.look() }, drain: { self.drain($0) }))
        await stop(logTimeout: isOrderly ? .seconds(2) : .milliseconds(100))
        report("stopped")
    }

    private func drain(_ signals: Signals) -> Bool {
        let timeouts = policies.current.settings.timeouts
        report("draining: readiness fails now, new connections end in \(timeouts.drainDelay)")
        server.failReadiness()
        guard signals.wait(until: Instant.now() + timeouts.drainDelay) else { return false }
        server.beginDrain()
        return signals.wait(until: Instant.now() + timeouts.drain, or: { self.server.openConnections == 0 })
    }

    /// Ends everything, whatever it does; the last lines of the access log get so much time.
    func stop(logTimeout: Duration) async {
        server.stop()
        await connectors?.shutdown()
        if !(await logWriter.finish(within: logTimeout)) {
            report("nobody reads the access log: its last lines are lost")
        }
    }

    /// In a process that goes on after `stop`: ends the reloads, and lets another gateway have the state folder.
    func release() {
        reloader.requests.end()
        state.release()
    }
}
