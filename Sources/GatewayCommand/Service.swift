import Connectors
import Crypto
import Foundation
import Gateway
import Policy
import Transport

/// A served gateway with the parts that live beside the data path: policy files, certificates, secrets, and the connector
/// service where it is in this process.
final class Service {
    private let server: GatewayServer
    /// `nil` where the upstream is remote.
    private let connectors: ConnectorService?
    private let upstreams: UpstreamSource
    private var plan: UpstreamPlan?
    private let policies: PolicyStore
    private let source: PolicySource
    private let certificates: CertificateSource
    private let ticketKeys: TicketKeys
    private let logWriter: LogWriter
    private var ticketsRotatedAt = Instant.now()

    static func start(_ arguments: Arguments) async throws -> Service {
        raiseDescriptorLimit()
        let state = try StateFolder(path: arguments.value("state") ?? "state")
        let source = PolicySource(
            folder: PolicyFolder(path: arguments.value("policies") ?? "policies"), demoTokenFile: state.demoTokenFile)
        var set = try load(source)
        var demoToken: String?
        if set.organizations[demoOrganization] != nil {
            demoToken = try state.makeDemoToken(organization: demoOrganization) {
                Welcome.say("demo token, shown this once: \($0)")
            }
            if demoToken != nil { set = try load(source) }
        }
        let addresses = try Addresses(arguments, set.settings)
        let certificates = CertificateSource(policyFolder: source.folder.path, state: state)
        let ticketKeys = TicketKeys()
        let loaded = try certificates.load(set.settings.tls, keys: ticketKeys)

        let upstreams = UpstreamSource(policyFolder: source.folder.path)
        let plan = try set.settings.upstream.map { try upstreams.load($0) }
        var connectors: ConnectorService?
        let policies = PolicyStore(
            initial: set, now: { Int64(Date().timeIntervalSince1970) },
            read: {
                do throws(PolicyFolder.Unreadable) { return .files(try source.readSettled()) } catch {
                    return .unreadable(error.message)
                }
            },
            load: PolicySource.load)
        let upstream: UpstreamChoice
        if let plan {
            upstream = .remote(plan, journal: JournalFolder(path: state.path))
        } else {
            let service = try ConnectorService.start(in: state)
            connectors = service
            upstream = .inProcess(ConnectorUpstream(service: service))
        }
        let log = AccessLogQueue()
        let logWriter = try LogWriter(log)
        let server: GatewayServer
        do throws(GatewayServer.StartError) {
            server = try await GatewayServer.start(
                .init(
                    listen: addresses.listen, admin: addresses.admin, workers: addresses.workers,
                    upstream: upstream,
                    policies: policies, context: loaded.context, log: log, say: Help.complain))
        } catch {
            await connectors?.shutdown()
            throw ServeCommand.Refusal(line: error.description)
        }
        let service = Service(
            server: server, connectors: connectors, upstreams: upstreams, plan: plan, policies: policies,
            source: source, certificates: certificates, ticketKeys: ticketKeys, logWriter: logWriter)
        Welcome(server: server, set: set, state: state, madeCertificate: loaded.isNew, isLocal: loaded.isLocal)
            .say(demoToken: demoToken)
        return service
    }

    private init(
        server: GatewayServer, connectors: ConnectorService?, upstreams: UpstreamSource, plan: UpstreamPlan?,
        policies: PolicyStore, source: PolicySource, certificates: CertificateSource, ticketKeys: TicketKeys,
        logWriter: LogWriter
    ) {
        self.logWriter = logWriter
        self.server = server
        self.connectors = connectors
        self.upstreams = upstreams
        self.plan = plan
        self.policies = policies
        self.source = source
        self.certificates = certificates
        self.ticketKeys = ticketKeys
    }

    static let demoOrganization = "org_xyz789"

    private static func load(_ source: PolicySource) throws -> PolicySet {
        let files: [PolicyFile]
        do throws(PolicyFolder.Unreadable) { files = try source.read() } catch {
            throw ServeCommand.Refusal(line: error.message + " (--policies DIR names another folder)")
        }
        switch PolicySource.load(files) {
        case .loaded(let set, let warnings):
            print(warnings)
            return set
        case .refused(let diagnostics):
            print(diagnostics)
            if diagnostics.allSatisfy({ $0.severity != .error || $0.file == source.demoTokenFile }) {
                throw ServeCommand.Refusal(
                    line: "\(source.demoTokenFile) is damaged: delete it, and the next start makes a new demo token")
            }
            throw ServeCommand.Refusal(
                line:
                    "the policies in \(source.folder.path) have mistakes, listed above; check them with: gateway policy check \(source.folder.path)"
            )
        }
    }

    private static func print(_ diagnostics: [Diagnostic]) {
        for diagnostic in diagnostics {
            try? FileHandle.standardError.write(contentsOf: Data("\(diagnostic.rendered)\n".utf8))
        }
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    func run(until signals: Signals) async {
        let cause = ReloadCause()
        let watcher = watchFiles(cause)
        defer { _ = watcher }
        while true {
            switch signals.wait(.seconds(1)) {
            case .terminate?:
                await drain(signals)
                return
            case .reload?: await reload(because: cause.take())
            case nil:
                rotateTickets()
                policies.dropRetired()
            }
        }
    }

    private func rotateTickets() {
        guard Instant.now() - ticketsRotatedAt >= policies.current.settings.tls.ticketLifetime else { return }
        ticketKeys.rotate()
        ticketsRotatedAt = .now()
    }

    private func drain(_ signals: Signals) async {
        let timeouts = policies.current.settings.timeouts
        Help.complain("draining: readiness fails now, new connections end in \(timeouts.drainDelay)")
        server.failReadiness()
        // A reload that is asked for meanwhile comes too late.
        let notBefore = Instant.now() + timeouts.drainDelay
        guard signals.wait(until: notBefore) else { return await stop() }
        server.beginDrain()
        _ = signals.wait(until: Instant.now() + timeouts.drain, or: { server.openConnections == 0 })
        await stop()
    }

    private func stop() async {
        server.stop()
        logWriter.join()
        await connectors?.shutdown()
        Help.complain("stopped")
    }

    /// Reads policies and certificates again; what is wrong stays out, and what was good stays in force.
    private func reload(because reason: String) async {
        switch policies.reload() {
        case .unchanged: break
        case .replaced(let set):
            server.adopt(set)
            Help.complain("policies reloaded (\(reason)): version \(set.shortVersion)")
        case .refused(let text):
            server.refusedReload()
            Help.complain("policies not reloaded (\(reason)), the last good set stays in force:\n\(text)")
        }
        await reloadUpstream(because: reason)
        do throws(ServeCommand.Refusal) {
            guard let context = try certificates.reload(policies.current.settings.tls, keys: ticketKeys) else { return }
            server.adopt(context)
            Help.complain("certificates reloaded (\(reason))")
        } catch {
            Help.complain("certificates not reloaded (\(reason)), the last good ones stay in force: \(error.line)")
        }
    }

    private func reloadUpstream(because reason: String) async {
        let settings = policies.current.settings.upstream
        guard (settings == nil) == (plan == nil) else {
            return Help.complain(
                "\"gateway.upstream\" was \(settings == nil ? "removed" : "added"): that takes effect with the next start"
            )
        }
        guard let settings else { return }
        do throws(ServeCommand.Refusal) {
            let new = try upstreams.load(settings)
            guard new != plan else { return }
            plan = new
            await server.adopt(new)
            Help.complain("upstream reloaded (\(reason))")
        } catch {
            Help.complain("upstream not reloaded (\(reason)), the last good one stays in force: \(error.line)")
        }
    }

    /// A thread that reloads when a file changed.
    private func watchFiles(_ cause: ReloadCause) -> WorkThread? {
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
                while true {
                    // No watch in a folder tells that it was replaced as a whole, or that a link to it was turned.
                    while !watcher.waitForChange(quiet: .milliseconds(100), atMost: .seconds(2)),
                        watched() == folders
                    {}
                    // The new watch begins before the reload, which so misses nothing.
                    folders = watched()
                    watcher = try FolderWatcher(Array(folders.keys))
                    cause.fileChanged()
                }
            } catch {
                Help.complain("changed files are not noticed (\(error)); send SIGHUP to reload")
            }
        }
    }
}
