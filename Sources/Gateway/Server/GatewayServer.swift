package import Crypto
package import Policy
package import Transport
internal import Synchronization

/// The running gateway: its workers and listeners, from start to drain.
package final class GatewayServer: Sendable {
    /// The listening addresses, with the chosen ports.
    package let listening: [SocketAddress]
    /// The address of the admin listener; `nil` if there is none.
    package let adminListening: SocketAddress?

    private let shared: SharedState
    private let workers: [Worker]
    private let admin: AdminServer?
    /// Resolves names and runs the health checks of a remote upstream.
    private let monitor: UpstreamMonitor?
    /// Observes the jobs of a remote upstream.
    private let jobs: JobObserver?
    private let threads: [WorkThread]
    private let report: @Sendable (String) -> Void
    private let messages = AwaitedMessages()

    /// Takes over the running jobs, binds all addresses and starts the workers. Requests are served when it returns.
    package static func start(_ options: GatewayOptions) async throws(GatewayStartError) -> GatewayServer {
        let shared = try SharedState(options)
        if case .inProcess(let upstream) = options.upstream {
            // The observer is registered before the list is read, and the leases are reconciled afterwards, so no end
            // of a job is missed.
            upstream.observeJobs { [weak shared, clock = options.clock] job in
                shared?.leases.jobObserved(job.key, job.job, now: clock.moment)
            }
            do throws(UpstreamFailure) {
                for job in try await upstream.runningJobs() { shared.restore(job) }
                try await shared.leases.reconcile(with: upstream, now: options.clock)
                shared.idempotency.follow(shared.leases)
            } catch { throw .upstream(error) }
        }
        let server = try GatewayServer(options, shared)
        if let cluster = server.workers.first?.pipeline.client?.cluster {
            await server.monitor?.resolveNames(of: cluster)
        }
        return server
    }

    private init(_ options: GatewayOptions, _ shared: SharedState) throws(GatewayStartError) {
        self.shared = shared
        report = options.report
        let policies = options.policies.current
        let limitTexts = RateLimitTexts(policies.limitRules)
        var listening: [SocketAddress] = []
        var workers: [Worker] = []
        for index in 0..<options.workers {
            do throws(SystemError) {
                let loop = try EventLoop(index: index)
                workers.append(
                    Worker(
                        loop: loop, shared: shared, policies: policies, limitTexts: limitTexts, context: options.context
                    ))
            } catch { throw .system(error) }
        }
        jobs = workers.first.map {
            JobObserver(leases: shared.leases, statusClient: JobStatusClient(of: shared, over: $0))
        }
        if case .remote(let configuration, _) = options.upstream {
            let cluster = UpstreamCluster(configuration, report: options.report)
            for worker in workers { worker.adopt(cluster, jobs) }
            shared.setMetricsSource(cluster)
        }
        for address in options.listen {
            // With port 0 the kernel chooses the port of the first worker's socket. The other workers share that port.
            var address = address
            try GatewayServer.checkFree(address)
            for worker in workers {
                let socket = try GatewayServer.bind(address, sharingPort: true)
                address.port = socket.localPort
                do throws(SystemError) { try worker.listen(on: socket) } catch { throw .system(error) }
            }
            listening.append(address)
        }
        if let address = options.admin {
            let socket = try GatewayServer.bind(address, sharingPort: false)
            adminListening = SocketAddress(host: address.host, port: socket.localPort)
            do throws(SystemError) {
                admin = try AdminServer(
                    socket: socket, shared: shared,
                    limit: OpenConnections.adminLimit(descriptors: options.descriptors))
            } catch { throw .system(error) }
        } else {
            adminListening = nil
            admin = nil
        }
        self.listening = listening
        self.workers = workers
        monitor = workers.first.flatMap { [jobs] in GatewayServer.beginUpkeep(on: $0, shared, jobs, options) }
        var threads: [WorkThread] = []
        for worker in workers {
            threads.append(
                WorkThread(name: "worker-\(worker.loop.index)") {
                    worker.begin()
                    worker.loop.run()
                })
        }
        if let admin {
            threads.append(
                WorkThread(name: "admin") {
                    admin.begin()
                    admin.loop.run()
                })
        }
        self.threads = threads
    }

    /// Starts the periodic tasks of the gateway on the first worker's loop.
    private static func beginUpkeep(
        on worker: Worker, _ shared: SharedState, _ jobs: JobObserver?, _ options: GatewayOptions
    ) -> UpstreamMonitor? {
        worker.loop.every(.seconds(1)) { [idempotency = shared.idempotency] in idempotency.sweep(now: .now()) }
        worker.loop.every(.seconds(5)) { [unowned worker] in worker.pipeline.recorder.recordSuppressedLines() }
        switch options.upstream {
        case .inProcess(let upstream):
            LocalLeaseReconciler(
                loop: worker.loop, leases: shared.leases, upstream: upstream, clock: options.clock
            ).begin()
            return nil
        case .remote:
            let monitor = UpstreamMonitor(
                loop: worker.loop, client: { worker.pipeline.client }, resolver: NameResolver(), report: options.report)
            monitor.begin()
            if let jobs {
                let reconciler = RemoteLeaseReconciler(
                    loop: worker.loop, leases: shared.leases, journal: shared.journal, statusClient: jobs.statusClient,
                    wallClock: options.clock, report: options.report)
                reconciler.begin()
                shared.setMetricsSource(reconciler)
            }
            return monitor
        }
    }

    private static func checkFree(_ address: SocketAddress) throws(GatewayStartError) {
        guard address.port != 0 else { return }
        let isTaken: Bool
        do throws(SystemError) { isTaken = try Socket.isTaken(address) } catch { throw .cannotListen(address, error) }
        if isTaken { throw .addressInUse(address) }
    }

    private static func bind(_ address: SocketAddress, sharingPort: Bool) throws(GatewayStartError) -> Socket {
        do throws(SystemError) { return try Socket.listening(on: address, sharingPort: sharingPort) } catch {
            throw error.isAddressInUse ? .addressInUse(address) : .cannotListen(address, error)
        }
    }

    /// Passes the new policy set to every worker. A request in progress keeps its set.
    package func adopt(_ set: PolicySet) {
        shared.metrics.reloaded(accepted: true)
        shared.connections.adopt(set.settings)
        let limitTexts = RateLimitTexts(set.limitRules)
        for worker in workers { worker.loop.perform { worker.adopt(set, limitTexts) } }
    }

    /// Switches to a new upstream configuration. Requests in progress keep their connections; new ones keep using the
    /// old configuration until the names of the new one are resolved. Returns at once if the gateway has stopped or
    /// stops meanwhile.
    package func adopt(_ configuration: UpstreamConfiguration) async {
        let cluster = UpstreamCluster(configuration, report: report)
        if let monitor {
            await messages.wait { resolved in
                Task {
                    await monitor.resolveNames(of: cluster)
                    resolved()
                }
            }
        }
        for worker in workers {
            // A message and not an executor preference, which would leave the caller's actor on its current thread.
            await messages.wait { taken in
                worker.loop.perform { [jobs] in
                    worker.adopt(cluster, jobs)
                    taken()
                }
            }
        }
        shared.setMetricsSource(cluster)
    }

    /// Counts a rejected policy set.
    package func refusedReload() { shared.metrics.reloaded(accepted: false) }

    /// New connections use the new certificates; open ones keep theirs.
    package func adopt(_ context: TLSContext) {
        for worker in workers { worker.loop.perform { worker.adopt(context) } }
    }

    /// Makes `/readyz` fail, so that load balancers stop sending clients. Requests are still served, also on new
    /// connections, but each response says `Connection: close`.
    package func failReadiness() {
        shared.drain.begin(.announced)
    }

    /// Stops accepting, closes idle connections, and lets all requests finish.
    package func beginDrain() {
        shared.drain.begin(.closing)
        for worker in workers { worker.loop.perform { worker.drain() } }
    }

    /// The number of requests that wait for a connection of their organization.
    package var waitingRequests: Int { shared.leases.usage().waiting }

    /// The number of open connections.
    package var openConnections: Int {
        // `closed` is read first: otherwise a connection that opens and closes meanwhile is counted as closed only.
        let closed = shared.metrics.total(of: .connectionsClosed)
        return Int(shared.metrics.total(of: .connectionsOpened) - closed)
    }

    /// Stops the loops regardless of open connections, and waits for their threads.
    package func stop() {
        shared.drain.begin(.closing)
        for worker in workers {
            worker.loop.perform {
                // Tasks of idle connections end and release their resources.
                worker.drain()
                worker.closeUnused()
                worker.loop.stop()
            }
        }
        if let admin { admin.loop.perform { admin.stop() } }
        for thread in threads { thread.join() }
        messages.end()
        workers.first?.pipeline.recorder.recordSuppressedLines()
        for worker in workers { worker.pipeline.recorder.flush() }
        shared.journal?.close()
        shared.idempotency.journal?.close()
        shared.log.close()
    }
}

extension JobStatusClient {
    /// Polls the jobs of a remote upstream, with the paths in the current policies.
    fileprivate init(of shared: SharedState, over worker: Worker) {
        let policies = shared.policies
        self.init(requests: InternalRequests(loop: worker.loop) { worker.pipeline.client }) {
            shown, family, start, organization, connection, job in
            policies.current.routes.path(showing: shown, family: family, near: start)?
                .path(organization: organization, connection: connection, job: job)
        }
        reader = shared.statusReader
    }
}
