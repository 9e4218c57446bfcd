import Crypto
import Gateway
import Policy
import Synchronization
import Transport

/// Reads policies, certificates and the upstream's files again, on a thread of its own: however long that takes, signals are
/// answered meanwhile. One reload at a time; of those that are asked for meanwhile, one follows.
actor Reloader {
    enum Cause: Hashable, Sendable {
        case signal
        case changedFile
        /// Nothing changed, but the gateway's own certificate may have come of age.
        case passedTime
    }

    /// Asks for a reload from any thread.
    final class Requests: Sendable {
        fileprivate let pending = Mutex<Set<Cause>>([])
        fileprivate let (stream, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

        func ask(because cause: Cause) {
            _ = pending.withLock { $0.insert(cause) }
            wake.yield()
        }

        fileprivate func take() -> Set<Cause> {
            pending.withLock { pending in
                defer { pending = [] }
                return pending
            }
        }
    }

    /// What is read again, and who takes it over.
    struct Parts: Sendable {
        let server: GatewayServer
        let policies: PolicyStore
        let upstreams: UpstreamSource
        let certificates: CertificateSource
        let ticketKeys: TicketKeys
        let start: StartSettings
    }

    nonisolated let requests = Requests()
    private let parts: Parts
    private var plan: UpstreamConfiguration?
    private var warnings: [String]

    init(_ parts: Parts, plan: UpstreamConfiguration?) {
        self.parts = parts
        self.plan = plan
        warnings = parts.policies.snapshot().warnings
    }

    /// Begins to answer requests. The thread ends with the process.
    nonisolated func begin() throws(SystemError) {
        let loop = try EventLoop(index: -4)
        Task(executorPreference: loop) {
            for await _ in self.requests.stream { await self.reload(because: self.requests.take()) }
        }
        guard WorkThread.detach(name: "reload", { loop.run() }) else { throw SystemError("pthread_create") }
    }

    /// What is wrong stays out, and what was good stays in force.
    private func reload(because causes: Set<Cause>) async {
        // First, so that a renewal is not reported as a reload.
        renewCertificate()
        let isAsked = causes.contains(.signal)
        guard isAsked || causes.contains(.changedFile) else { return }
        // Who asks by hand wants to see an answer.
        let reason = isAsked ? "SIGHUP" : "a file changed"
        reloadPolicies(because: reason, isAsked: isAsked)
        await reloadUpstream(because: reason)
        reloadCertificates(because: reason)
    }

    private func reloadPolicies(because reason: String, isAsked: Bool) {
        let policies = parts.policies
        let outcome = policies.reload()
        let status = policies.snapshot()
        var tellsWarnings = isAsked || status.warnings != warnings
        switch outcome {
        case .unchanged(isRepaired: true):
            Help.complain("policies are good again (\(reason)), and unchanged: version \(status.set.shortVersion)")
        case .unchanged:
            if isAsked { Help.complain("policies unchanged (\(reason)): version \(status.set.shortVersion)") }
        case .replaced(let set):
            parts.server.adopt(set)
            tellsWarnings = true
            Help.complain("policies reloaded (\(reason)): version \(set.shortVersion)")
        case .refused(let text):
            parts.server.refusedReload()
            tellsWarnings = false
            Help.complain("policies not reloaded (\(reason)), the last good set stays in force:\n\(text)")
        }
        if tellsWarnings {
            for warning in status.warnings { StandardError.say(warning) }
            warnings = status.warnings
        }
        let waiting = parts.start.changed(in: status.set.settings)
        policies.note(needsRestart: waiting)
        for name in waiting { Help.complain("\"\(name)\" has changed: that takes effect with the next start") }
    }

    private func reloadUpstream(because reason: String) async {
        // Whether there is one changes with the next start only.
        guard let settings = parts.policies.current.settings.upstream, plan != nil else { return }
        do throws(StartupError) {
            let new = try parts.upstreams.load(settings)
            guard new != plan else { return parts.policies.note(.upstream, .unchanged) }
            plan = new
            await parts.server.adopt(new)
            parts.policies.note(.upstream, .replaced)
            Help.complain("upstream reloaded (\(reason))")
        } catch {
            parts.policies.note(.upstream, .refused(error.line))
            Help.complain("upstream not reloaded (\(reason)), the last good one stays in force: \(error.line)")
        }
    }

    private func reloadCertificates(because reason: String) {
        do throws(StartupError) {
            // Files that are as they were stay refused if they were.
            guard
                let context = try parts.certificates.reload(
                    parts.policies.current.settings.tls, keys: parts.ticketKeys)
            else { return }
            parts.server.adopt(context)
            parts.policies.note(.certificates, .replaced)
            Help.complain("certificates reloaded (\(reason))")
        } catch {
            parts.policies.note(.certificates, .refused(error.line))
            Help.complain("certificates not reloaded (\(reason)), the last good ones stay in force: \(error.line)")
        }
    }

    private func renewCertificate() {
        do throws(StartupError) {
            let settings = parts.policies.current.settings.tls
            guard let renewed = try parts.certificates.renew(settings, keys: parts.ticketKeys) else { return }
            parts.server.adopt(renewed.context)
            parts.policies.note(.certificates, .replaced)
            Help.complain(
                renewed.isNewAuthority
                    ? "the gateway's own certificate was renewed, of a new authority: give clients the new ca.pem"
                    : "the gateway's own certificate was renewed")
        } catch {
            parts.policies.note(.certificates, .refused(error.line))
            Help.complain("the gateway's own certificate cannot be renewed: \(error.line)")
        }
    }
}
