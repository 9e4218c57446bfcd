package import Crypto
package import Policy
package import Transport
internal import Synchronization

/// The running gateway: its workers, its listeners, and its life from start to drained.
package final class GatewayServer: Sendable {
    /// The addresses that clients reach, with the ports that were chosen.
    package let listening: [SocketAddress]
    /// That of the admin listener; `nil` where there is none.
    package let adminListening: SocketAddress?

    private let shared: SharedState
    private let workers: [Worker]
    private let admin: AdminServer?
    /// Looks after a remote upstream.
    private let monitor: UpstreamMonitor?
    /// What is known of a remote upstream's jobs.
    private let jobs: JobObserver?
    private let threads: [WorkThread]
    private let report: @Sendable (String) -> Void
    private let messages = AwaitedMessages()

    /// Takes over the jobs that run, binds all addresses and starts the workers. Requests are answered when it returns.
    package static func start(_ options: GatewayOptions) async throws(GatewayStartError) -> GatewayServer {
        let shared = try SharedState(options)
        if case .inProcess(let upstream) = options.upstream {
            // Observed before the list is read, and compared once after: a job that ends in between is not missed.
            upstream.observeJobs { [weak shared, clock = options.clock] job in
                shared?.leases.jobObserved(job.key, job.job, now: clock.milliseconds)
            }
            do throws(UpstreamFailure) {
                for job in try await upstream.runningJobs() { shared.restore(job) }
                try await shared.leases.reconcile(with: upstream, now: options.clock)
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
        if case .remote(let plan, _) = options.upstream {
            let cluster = UpstreamCluster(plan, report: options.report)
            for worker in workers { worker.adopt(cluster, jobs) }
            shared.shows(cluster)
        }
        for address in options.listen {
            // With port 0 the first worker's socket chooses, and the others share its port.
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

    /// What goes on beside the requests, on the first worker's loop.
    private static func beginUpkeep(
        on worker: Worker, _ shared: SharedState, _ jobs: JobObserver?, _ options: GatewayOptions
    ) -> UpstreamMonitor? {
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
                shared.shows(reconciler)
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

    /// Gives every worker the new set. A request keeps the one it began with.
    package func adopt(_ set: PolicySet) {
        shared.metrics.reloaded(accepted: true)
        shared.connections.adopt(set.settings)
        let limitTexts = RateLimitTexts(set.limitRules)
        for worker in workers { worker.loop.perform { worker.adopt(set, limitTexts) } }
    }

    /// Requests that begin after this go where the new plan says; those under way keep their connections. Names are resolved
    /// first: until then requests go where they went. Returns at once where the gateway has stopped, or stops meanwhile.
    package func adopt(_ plan: UpstreamConfiguration) async {
        let cluster = UpstreamCluster(plan, report: report)
        if let monitor {
            await messages.wait { resolved in
                Task {
                    await monitor.resolveNames(of: cluster)
                    resolved()
                }
            }
        }
        for worker in workers {
            // A message to the loop: a preference for its executor would leave the caller's actor on the thread it is on.
            await messages.wait { taken in
                worker.loop.perform { [jobs] in
                    worker.adopt(cluster, jobs)
                    taken()
                }
            }
        }
        shared.shows(cluster)
    }

    /// Counts a set that was not taken.
    package func refusedReload() { shared.metrics.reloaded(accepted: false) }

    /// New connections meet the new certificates; open ones keep theirs.
    package func adopt(_ context: TLSContext) {
        for worker in workers { worker.loop.perform { worker.adopt(context) } }
    }

    /// From now on `/readyz` fails, so that a load balancer sends its clients elsewhere. Requests are still served, also on new
    /// connections; each answer says that its connection ends.
    package func failReadiness() {
        shared.drain.begin(.announced)
    }

    /// Stops accepting, closes idle connections, and lets every request finish.
    package func beginDrain() {
        shared.drain.begin(.closing)
        for worker in workers { worker.loop.perform { worker.drain() } }
    }

    /// Connections that are still open.
    package var openConnections: Int {
        // Read in this order, so that a connection that opens meanwhile is not counted as closed only.
        let closed = shared.metrics.total(of: .connectionsClosed)
        return Int(shared.metrics.total(of: .connectionsOpened) - closed)
    }

    /// Stops the loops, whatever they hold, and waits for their threads.
    package func stop() {
        shared.drain.begin(.closing)
        for worker in workers {
            worker.loop.perform {
                // Whoever waits for nothing in particular leaves, and gives back what it holds.
                worker.drain()
                worker.closeUnused()
                worker.loop.stop()
            }
        }
        if let admin { admin.loop.perform { admin.loop.stop() } }
        for thread in threads { thread.join() }
        messages.end()
        workers.first?.pipeline.recorder.recordSuppressedLines()
        for worker in workers { worker.pipeline.recorder.flush() }
        shared.journal?.close()
        shared.log.close()
    }
}

extension JobStatusClient {
    /// About the jobs of a remote upstream, under the paths that the policy in force has for them.
    fileprivate init(of shared: SharedState, over worker: Worker) {
        let policies = shared.policies
        self.init(requests: InternalRequests(loop: worker.loop) { worker.pipeline.client }) {
            shown, family, start, organization, connection, job in
            policies.current.routes.path(showing: shown, family: family, near: start)?
                .path(organization: organization, connection: connection, job: job)
        }
    }
}
