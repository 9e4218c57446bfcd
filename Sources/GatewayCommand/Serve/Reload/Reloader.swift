import Crypto
import Gateway
import Policy
import Transport

/// Reloads policies, certificates and the files of the upstream, on a separate thread, so that the process still reacts
/// to signals. One reload runs at a time. All requests that arrive during a reload lead to one further reload.
actor Reloader {
    nonisolated let requests = ReloadRequests()
    private let server: GatewayServer
    private let policies: PolicyStore
    private let files: FileSources
    private let ticketKeys: TicketKeys
    private let fixedSettings: FixedSettings
    /// Prints a line for the operator.
    private let report: @Sendable (String) -> Void
    /// Prints a warning about the policies, in the form of `gateway policy check`.
    private let showWarning: @Sendable (String) -> Void
    /// The upstream that the server uses; `nil` if the upstream is in this process.
    private var upstream: UpstreamConfiguration?
    /// The warnings that were printed last.
    private var warnings: [String]

    /// `upstream` and `fixedSettings` are those of the start.
    init(
        of server: GatewayServer, policies: PolicyStore, files: FileSources, ticketKeys: TicketKeys,
        upstream: UpstreamConfiguration?, fixedSettings: FixedSettings, report: @escaping @Sendable (String) -> Void,
        showWarning: @escaping @Sendable (String) -> Void
    ) {
        self.server = server
        self.policies = policies
        self.files = files
        self.ticketKeys = ticketKeys
        self.upstream = upstream
        self.fixedSettings = fixedSettings
        self.report = report
        self.showWarning = showWarning
        warnings = policies.snapshot().warnings
    }

    /// Starts the thread that serves requests. The thread ends after `requests.end()`.
    nonisolated func begin() throws(SystemError) {
        let loop = try EventLoop(index: -4)
        Task(executorPreference: loop) {
            await self.requests.serve { reasons in await self.reload(because: reasons) }
            loop.stop()
        }
        guard WorkThread.detach(name: "reload", { loop.run() }) else { throw SystemError("pthread_create") }
    }

    /// Reloads everything. A part with an error does not take effect: its last valid version stays in force.
    func reload(because reasons: Set<ReloadReason>) async {
        // This comes first. Otherwise `reloadCertificates` would report a renewed certificate as a changed file.
        renewCertificate()
        let isRequested = reasons.contains(.signal)
        guard isRequested || reasons.contains(.changedFile) else { return }
        // An operator who sends SIGHUP wants to see a result even if nothing changed.
        let reason = isRequested ? "SIGHUP" : "a file changed"
        reloadPolicies(because: reason, isRequested: isRequested)
        await reloadUpstream(because: reason)
        reloadCertificates(because: reason)
    }

    private func reloadPolicies(because reason: String, isRequested: Bool) {
        let outcome = policies.reload()
        let status = policies.snapshot()
        var printsWarnings = isRequested || status.warnings != warnings
        switch outcome {
        case .unchanged(isRepaired: true):
            report("policies are valid again (\(reason)), and unchanged: version \(status.set.shortVersion)")
        case .unchanged:
            if isRequested { report("policies unchanged (\(reason)): version \(status.set.shortVersion)") }
        case .replaced(let set):
            server.adopt(set)
            printsWarnings = true
            report("policies reloaded (\(reason)): version \(set.shortVersion)")
        case .refused(let text):
            server.refusedReload()
            printsWarnings = false
            report("policies not reloaded (\(reason)), the last valid set stays in force:\n\(text)")
        }
        if printsWarnings {
            for warning in status.warnings { showWarning(warning) }
            warnings = status.warnings
        }
        let changes = fixedSettings.changes(in: status.set.settings)
        policies.record(needsRestart: changes)
        for name in changes { report("\"\(name)\" has changed: restart the gateway to apply the change") }
    }

    private func reloadUpstream(because reason: String) async {
        // A remote upstream is added or removed by a restart only.
        guard let settings = policies.current.settings.upstream, upstream != nil else { return }
        do throws(StartupError) {
            let new = try files.upstreams.load(settings)
            guard new != upstream else { return policies.record(.upstream, .unchanged) }
            upstream = new
            await server.adopt(new)
            policies.record(.upstream, .replaced)
            report("upstream reloaded (\(reason))")
        } catch {
            policies.record(.upstream, .refused(error.line))
            report("upstream not reloaded (\(reason)), the last valid one stays in force: \(error.line)")
        }
    }

    private func reloadCertificates(because reason: String) {
        do throws(StartupError) {
            // `nil` also for files that were refused before and have not changed: their error is printed once.
            guard
                let context = try files.certificates.reload(
                    policies.current.settings.tls, keys: ticketKeys)
            else { return }
            server.adopt(context)
            policies.record(.certificates, .replaced)
            report("certificates reloaded (\(reason))")
        } catch {
            policies.record(.certificates, .refused(error.line))
            report("certificates not reloaded (\(reason)), the last valid ones stay in force: \(error.line)")
        }
    }

    private func renewCertificate() {
        do throws(StartupError) {
            let settings = policies.current.settings.tls
            guard let renewed = try files.certificates.renew(settings, keys: ticketKeys) else { return }
            server.adopt(renewed.context)
            policies.record(.certificates, .replaced)
            report(
                renewed.isNewAuthority
                    ? "the gateway renewed its own certificate, signed by a new authority: give clients the new ca.pem"
                    : "the gateway renewed its own certificate")
        } catch {
            policies.record(.certificates, .refused(error.line))
            report("the gateway cannot renew its own certificate: \(error.line)")
        }
    }
}
