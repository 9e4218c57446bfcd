import Crypto
import Gateway
import Policy
import Transport

/// Reads policies, certificates and the upstream's files again, on a thread of its own: however long that takes, signals are
/// answered meanwhile. One reload at a time; of those that are asked for meanwhile, one follows.
actor Reloader {
    nonisolated let requests = ReloadRequests()
    private let server: GatewayServer
    private let policies: PolicyStore
    private let files: FileSources
    private let ticketKeys: TicketKeys
    private let start: StartSettings
    /// Tells the operator what became of a reload, a line at a time.
    private let report: @Sendable (String) -> Void
    /// Shows a warning of the policies, as it stands in the report of a check.
    private let showWarning: @Sendable (String) -> Void
    /// What the server was given last; `nil` where the upstream is in this process.
    private var upstream: UpstreamConfiguration?
    /// What was reported last.
    private var warnings: [String]

    /// `upstream` is what the server was started with, as is `start`.
    init(
        of server: GatewayServer, policies: PolicyStore, files: FileSources, ticketKeys: TicketKeys,
        upstream: UpstreamConfiguration?, start: StartSettings, report: @escaping @Sendable (String) -> Void,
        showWarning: @escaping @Sendable (String) -> Void
    ) {
        self.server = server
        self.policies = policies
        self.files = files
        self.ticketKeys = ticketKeys
        self.upstream = upstream
        self.start = start
        self.report = report
        self.showWarning = showWarning
        warnings = policies.snapshot().warnings
    }

    /// Begins to serve requests. The thread ends with the process, or when the requests have ended.
    nonisolated func begin() throws(SystemError) {
        let loop = try EventLoop(index: -4)
        Task(executorPreference: loop) {
            await self.requests.serve { reasons in await self.reload(because: reasons) }
            loop.stop()
        }
        guard WorkThread.detach(name: "reload", { loop.run() }) else { throw SystemError("pthread_create") }
    }

    /// Reads everything again. What is wrong stays out, and what was good stays in force.
    func reload(because reasons: Set<ReloadReason>) async {
        // First, so that a renewal is not reported as a reload.
        renewCertificate()
        let isAsked = reasons.contains(.signal)
        guard isAsked || reasons.contains(.changedFile) else { return }
        // Who asks by hand wants to see an answer.
        let reason = isAsked ? "SIGHUP" : "a file changed"
        reloadPolicies(because: reason, isAsked: isAsked)
        await reloadUpstream(because: reason)
        reloadCertificates(because: reason)
    }

    private func reloadPolicies(because reason: String, isAsked: Bool) {
        let outcome = policies.reload()
        let status = policies.snapshot()
        var tellsWarnings = isAsked || status.warnings != warnings
        switch outcome {
        case .unchanged(isRepaired: true):
            report("policies are good again (\(reason)), and unchanged: version \(status.set.shortVersion)")
        case .unchanged:
            if isAsked { report("policies unchanged (\(reason)): version \(status.set.shortVersion)") }
        case .replaced(let set):
            server.adopt(set)
            tellsWarnings = true
            report("policies reloaded (\(reason)): version \(set.shortVersion)")
        case .refused(let text):
            server.refusedReload()
            tellsWarnings = false
            report("policies not reloaded (\(reason)), the last good set stays in force:\n\(text)")
        }
        if tellsWarnings {
            for warning in status.warnings { showWarning(warning) }
            warnings = status.warnings
        }
        let waiting = start.changed(in: status.set.settings)
        policies.record(needsRestart: waiting)
        for name in waiting { report("\"\(name)\" has changed: that takes effect with the next start") }
    }

    private func reloadUpstream(because reason: String) async {
        // Whether there is one changes with the next start only.
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
            report("upstream not reloaded (\(reason)), the last good one stays in force: \(error.line)")
        }
    }

    private func reloadCertificates(because reason: String) {
        do throws(StartupError) {
            // Files that are as they were stay refused if they were.
            guard
                let context = try files.certificates.reload(
                    policies.current.settings.tls, keys: ticketKeys)
            else { return }
            server.adopt(context)
            policies.record(.certificates, .replaced)
            report("certificates reloaded (\(reason))")
        } catch {
            policies.record(.certificates, .refused(error.line))
            report("certificates not reloaded (\(reason)), the last good ones stay in force: \(error.line)")
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
                    ? "the gateway's own certificate was renewed, of a new authority: give clients the new ca.pem"
                    : "the gateway's own certificate was renewed")
        } catch {
            policies.record(.certificates, .refused(error.line))
            report("the gateway's own certificate cannot be renewed: \(error.line)")
        }
    }
}
