import Connectors
import Crypto
import Foundation
import Gateway
import Policy
import Transport

/// A served gateway with the parts that live beside the data path: policy files, certificates, secrets, and the connector
/// service where it is in this process.
final class GatewayService {
    private let server: GatewayServer
    /// `nil` where the upstream is remote.
    private let connectors: ConnectorService?
    private let upstreams: UpstreamSource
    private let policies: PolicyStore
    private let source: PolicySource
    private let logWriter: AccessLogWriter
    private let reloader: Reloader
    private let upkeep: Upkeep

    static func start(_ arguments: Arguments) async throws -> GatewayService {
        let descriptors = raiseDescriptorLimit()
        // Before anything is made or read: what cannot be understood is the first thing to tell.
        let flags = try ListenOptions.Flags(arguments)
        let pace = try ConnectorOptions.Pace(of: ProcessInfo.processInfo.environment)
        let state = try StateFolder(path: arguments.value("state") ?? "state")
        let source = PolicySource(
            folder: PolicyFolder(path: arguments.value("policies") ?? "policies"), demoTokenFile: state.demoTokenFile)
        var (set, warnings) = try load(source)
        var demoToken: String?
        if set.organizations[demoOrganization] != nil {
            demoToken = try state.makeDemoToken(organization: demoOrganization) {
                StartupBanner.say("demo token, shown this once: \($0)")
            }
            if demoToken != nil { (set, warnings) = try load(source) }
        }
        show(warnings)
        let addresses = try ListenOptions(flags, set.settings)
        let certificates = CertificateSource(policyFolder: source.folder.path, state: state)
        let ticketKeys = TicketKeys()
        let loaded = try certificates.load(set.settings.tls, keys: ticketKeys)

        let upstreams = UpstreamSource(policyFolder: source.folder.path)
        let plan = try set.settings.upstream.map { try upstreams.load($0) }
        var connectors: ConnectorService?
        let policies = PolicyStore(
            initial: set, warnings: warnings, now: { Int64(Date().timeIntervalSince1970) },
            read: {
                do throws(PolicyFolder.Unreadable) { return .files(try source.readSettled()) } catch {
                    return .unreadable(error.message)
                }
            },
            load: PolicySource.load)
        let upstream: UpstreamMode
        if let plan {
            upstream = .remote(plan, journal: JournalFolder(path: state.path))
        } else {
            let service = try ConnectorService.start(in: state, at: pace)
            connectors = service
            upstream = .inProcess(ConnectorUpstream(service: service))
        }
        let log = AccessLogQueue()
        let logWriter = try AccessLogWriter(log)
        let server: GatewayServer
        do throws(GatewayStartError) {
            server = try await GatewayServer.start(
                .init(
                    listen: addresses.listen, admin: addresses.admin, workers: addresses.workers,
                    upstream: upstream,
                    policies: policies, context: loaded.context, log: log, descriptors: descriptors,
                    say: Help.complain))
        } catch {
            await connectors?.shutdown()
            throw StartupError(line: error.description)
        }
        let reloader = Reloader(
            .init(
                server: server, policies: policies, upstreams: upstreams, certificates: certificates,
                ticketKeys: ticketKeys, start: StartSettings(set.settings, without: flags)), plan: plan)
        try reloader.begin()
        let service = GatewayService(
            server: server, connectors: connectors, upstreams: upstreams, policies: policies, source: source,
            logWriter: logWriter, reloader: reloader,
            upkeep: Upkeep(policies: policies, ticketKeys: ticketKeys, requests: reloader.requests))
        StartupBanner(
            server: server, set: set, state: state, isNewAuthority: loaded.isNewAuthority, isLocal: loaded.isLocal
        )
        .say(demoToken: demoToken)
        return service
    }

    private init(
        server: GatewayServer, connectors: ConnectorService?, upstreams: UpstreamSource, policies: PolicyStore,
        source: PolicySource, logWriter: AccessLogWriter, reloader: Reloader, upkeep: Upkeep
    ) {
        self.logWriter = logWriter
        self.server = server
        self.connectors = connectors
        self.upstreams = upstreams
        self.policies = policies
        self.source = source
        self.reloader = reloader
        self.upkeep = upkeep
    }

    static let demoOrganization = Organization.demoID

    private static func load(_ source: PolicySource) throws -> (PolicySet, warnings: [Diagnostic]) {
        let files: [PolicyFile]
        do throws(PolicyFolder.Unreadable) { files = try source.read() } catch {
            throw StartupError(line: error.message + " (--policies DIR names another folder)")
        }
        switch PolicySource.load(files) {
        case .loaded(let set, let warnings): return (set, warnings)
        case .refused(let diagnostics):
            show(diagnostics)
            if diagnostics.allSatisfy({ $0.severity != .error || $0.file == source.demoTokenFile }) {
                throw StartupError(
                    line: "\(source.demoTokenFile) is damaged: delete it, and the next start makes a new demo token")
            }
            throw StartupError(
                line:
                    "the policies in \(source.folder.path) have mistakes, listed above; check them with: gateway policy check \(source.folder.path)"
            )
        }
    }

    private static func show(_ diagnostics: [Diagnostic]) {
        StandardError.write(diagnostics.map { "\($0.rendered)\n" }.joined())
    }

    /// Serves until a signal ends it, then drains and stops.
    func run(until signals: SignalThread) async {
        let watcher = watchFiles()
        defer { _ = watcher }
        let (server, policies, requests, upkeep) = (server, policies, reloader.requests, upkeep)
        let isOrderly = await signals.attend(
            Duties(
                reload: { requests.ask(because: .signal) }, tick: { upkeep.look() },
                drain: { GatewayService.drain(server, policies.current.settings.timeouts, $0) }))
        server.stop()
        await connectors?.shutdown()
        if !(await logWriter.finish(within: isOrderly ? .seconds(2) : .milliseconds(100))) {
            Help.complain("nobody reads the access log: its last lines are lost")
        }
        Help.complain("stopped")
    }

    private static func drain(
        _ server: GatewayServer, _ timeouts: GatewaySettings.Timeouts, _ signals: Signals
    ) -> Bool {
        Help.complain("draining: readiness fails now, new connections end in \(timeouts.drainDelay)")
        server.failReadiness()
        guard signals.wait(until: Instant.now() + timeouts.drainDelay) else { return false }
        server.beginDrain()
        return signals.wait(until: Instant.now() + timeouts.drain, or: { server.openConnections == 0 })
    }

    /// A thread that reloads when a file changed.
    private func watchFiles() -> WorkThread? {
        let requests = reloader.requests
        let source = source
        let policies = policies
        let upstreams = upstreams
        let watched: @Sendable () -> [String: String] = {
            source.identities(
                of: source.folders
                    + CertificateSource.folders(policies.current.settings.tls, policyFolder: source.folder.path)
                    + upstreams.folders(policies.current.settings.upstream))
        }
        return WorkThread(name: "file-watch") {
            do throws(SystemError) {
                var folders = watched()
                var watcher = try FolderWatcher(Array(folders.keys))
                // What changed since the start read it, and before there was a watch, is not missed either.
                requests.ask(because: .changedFile)
                while true {
                    // No watch in a folder tells that it was replaced as a whole, or that a link to it was turned.
                    while !watcher.waitForChange(quiet: .milliseconds(100), atMost: .seconds(2)),
                        watched() == folders
                    {}
                    // The new watch begins before the reload, which so misses nothing.
                    folders = watched()
                    watcher = try FolderWatcher(Array(folders.keys))
                    requests.ask(because: .changedFile)
                }
            } catch {
                Help.complain("changed files are not noticed (\(error)); send SIGHUP to reload")
            }
        }
    }
}
