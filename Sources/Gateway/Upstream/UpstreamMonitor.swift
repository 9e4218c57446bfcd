internal import Policy
internal import Transport

/// Resolves the names of the remote upstream's endpoints, and runs the health checks.
///
/// `@unchecked Sendable`: used on its worker's loop only; other threads only hold the reference.
final class UpstreamMonitor: @unchecked Sendable {
    private let loop: EventLoop
    /// Returns the current client. Called on the loop.
    private let client: @Sendable () -> UpstreamClient?
    private let resolver: NameResolver
    private let report: @Sendable (String) -> Void
    /// The state for the current cluster.
    private var rounds: Rounds?

    /// When each name was last resolved, which names are being resolved, and the health checks.
    private struct Rounds {
        let client: UpstreamClient
        var resolvedAt: [UpstreamURL: Instant] = [:]
        var resolving: Set<UpstreamURL> = []
        var unresolved: Set<UpstreamURL> = []
        var checks = HealthCheckSchedule()
    }

    init(
        loop: EventLoop, client: @escaping @Sendable () -> UpstreamClient?, resolver: NameResolver,
        report: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.client = client
        self.resolver = resolver
        self.report = report
    }

    /// Starts to tick every half second. Call it before the loop runs.
    func begin() { loop.every(.milliseconds(500)) { self.tick() } }

    /// Resolves all names of `cluster` once, so that the first requests find endpoints. Takes at most about 5 s.
    func resolveNames(of cluster: UpstreamCluster) async {
        await withTaskExecutorPreference(loop) {
            await withTaskGroup { group in
                for url in cluster.names {
                    group.addTask(executorPreference: loop) { await self.resolve(url, cluster) }
                }
            }
        }
    }

    private func tick() {
        guard let client = client() else { return }
        if rounds?.client !== client { rounds = Rounds(client: client) }
        for url in client.cluster.names { resolveIfDue(url, client.cluster) }
        guard let check = client.settings.health else { return }
        let due = rounds?.checks.due(client.cluster.current, every: check.interval, now: loop.now) ?? []
        for endpoint in due { ask(endpoint, check) }
    }

    private func resolveIfDue(_ url: UpstreamURL, _ cluster: UpstreamCluster) {
        guard let rounds, !rounds.resolving.contains(url) else { return }
        // A name that does not resolve is tried again soon.
        let usual = cluster.settings.dnsRefresh
        let period = rounds.unresolved.contains(url) ? min(usual, .seconds(2)) : usual
        if let last = rounds.resolvedAt[url], last + period > loop.now { return }
        self.rounds?.resolving.insert(url)
        self.rounds?.resolvedAt[url] = loop.now
        Task(executorPreference: loop) { await self.resolve(url, cluster) }
    }

    private func resolve(_ url: UpstreamURL, _ cluster: UpstreamCluster) async {
        switch await resolver.resolve(url.host, port: url.port, before: loop.now + .seconds(5), on: loop) {
        case .found(let addresses):
            if rounds?.unresolved.remove(url) != nil { report("upstream \(url): the host name resolves again") }
            cluster.resolved(url, to: addresses)
        case .notFound: unresolved(url, cluster, .nameNotFound, "there is no such name")
        case .temporaryFailure: unresolved(url, cluster, .nameTimeout, "the name service failed temporarily")
        case .timedOut: unresolved(url, cluster, .nameTimeout, "the name service did not respond in time")
        }
        rounds?.resolving.remove(url)
    }

    private func unresolved(
        _ url: UpstreamURL, _ cluster: UpstreamCluster, _ failure: UpstreamFailure, _ reason: String
    ) {
        cluster.unresolved(url, failure)
        guard rounds?.unresolved.insert(url).inserted ?? false else { return }
        report("upstream \(url): the host name does not resolve (\(reason)); earlier addresses, if any, stay in use")
    }

    private func ask(_ endpoint: Endpoint, _ check: UpstreamSettings.HealthCheck) {
        Task(executorPreference: loop) {
            guard let client = self.rounds?.client else { return }
            let isGood = await client.isHealthy(endpoint, check)
            self.rounds?.checks.responded(endpoint)
            guard endpoint.checked(isGood: isGood) else { return }
            self.report(
                "upstream \(endpoint.url) at \(endpoint.address) \(isGood ? "is healthy" : "failed its health checks")"
            )
        }
    }
}
