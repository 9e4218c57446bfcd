internal import Policy
internal import Transport

/// Looks after the remote upstream beside the requests: finds out the addresses behind its names, and asks its endpoints how
/// they are.
///
/// `@unchecked Sendable`: used on its worker's loop only, but for the reference itself.
final class UpstreamMonitor: @unchecked Sendable {
    private let loop: EventLoop
    /// The way to the upstream in force, asked for on the loop.
    private let client: @Sendable () -> UpstreamClient?
    private let resolver: NameResolver
    private let report: @Sendable (String) -> Void
    /// What is known of the cluster in force.
    private var rounds: Rounds?

    /// When each thing was done last, and what is being done.
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

    /// Looks every half second. Before the loop runs.
    func begin() { loop.every(.milliseconds(500)) { self.tick() } }

    /// Finds out the addresses behind all names of `cluster` once, so that its first requests find endpoints; takes a few
    /// seconds at most.
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
        let outcome = await resolver.resolve(url.host, port: url.port, before: loop.now + .seconds(5), on: loop)
        if case .found(let addresses) = outcome {
            if rounds?.unresolved.remove(url) != nil { report("upstream \(url): the name resolves again") }
            cluster.resolved(url, to: addresses)
        } else {
            cluster.unresolved(url, outcome == .notFound ? .nameNotFound : .nameTimeout)
            if rounds?.unresolved.insert(url).inserted ?? false {
                report("upstream \(url): the name does not resolve (\(outcome))")
            }
        }
        rounds?.resolving.remove(url)
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
