internal import Journal
internal import Policy
internal import Synchronization
internal import Transport

/// The state that all workers share. All members can be used from any thread.
final class SharedState: Sendable {
    let clock: WallClock
    let policies: PolicyStore
    let limiter = RateLimiter()
    let failedAuthentications = FailedAuthentications()
    let confirmations = Confirmations()
    let leases: LeaseTable
    let waitingRoom = WaitingRoom()
    /// The records of requests with an idempotency key. Made after the leases, because records of an earlier process follow them.
    let idempotency: IdempotencyTable
    /// Reads the jobs that a remote upstream shows.
    let statusReader: JobStatusReader
    /// Keeps leases after the process has ended; `nil` for the upstream in this process, which has its own journal of jobs.
    let journal: LeaseJournal?
    /// The connector service of this process; `nil` if the upstream is remote.
    let local: (any InProcessUpstream)?
    let bodies: BodyMemoryBudget
    let connections: OpenConnections
    let metrics: Metrics
    let log: AccessLogQueue
    let logShares = AccessLogShares()
    let drain = Drain()
    /// The current remote upstream, for metrics.
    private let cluster = Mutex<UpstreamCluster?>(nil)
    private let reconciler = Mutex<RemoteLeaseReconciler?>(nil)

    init(_ options: GatewayOptions) throws(GatewayStartError) {
        clock = options.clock
        policies = options.policies
        statusReader = JobStatusReader(
            statuses: { [policies = options.policies] in policies.current.jobStatuses }, report: options.report)
        bodies = BodyMemoryBudget(limitBytes: policies.current.settings.sizes.bodyMemoryBytes)
        connections = OpenConnections(
            policies.current.settings, descriptors: options.descriptors, workers: options.workers,
            report: options.report)
        switch options.upstream {
        case .inProcess(let upstream):
            local = upstream
            leases = LeaseTable()
            journal = nil
        case .remote(_, let disk):
            local = nil
            do throws(JournalError) {
                (leases, journal) = try LeaseTable.restored(
                    from: disk, matrix: policies.current.concurrency, responseTimeout: policies.current.maxResponseHead,
                    now: clock.moment, warn: options.report)
            } catch { throw .journal(error) }
        }
        let capacity = policies.current.settings.idempotency.memoryBytes
        if let disk = options.idempotency {
            do throws(JournalError) {
                idempotency = try IdempotencyTable.restored(
                    from: disk, capacityBytes: capacity, leases: leases, now: clock.moment, warn: options.report)
            } catch { throw .idempotencyJournal(error) }
        } else {
            idempotency = IdempotencyTable(capacityBytes: capacity)
        }
        metrics = Metrics(workerCount: options.workers)
        log = options.log
    }

    /// Sets the upstream whose state the metrics show.
    func setMetricsSource(_ cluster: UpstreamCluster) { self.cluster.withLock { $0 = cluster } }

    func setMetricsSource(_ reconciler: RemoteLeaseReconciler) { self.reconciler.withLock { $0 = reconciler } }

    /// Renders all counters and current values.
    func renderMetrics(into out: inout [UInt8]) {
        let status = policies.snapshot()
        var gauges = Metrics.Gauges()
        gauges.leases = leases.usage()
        gauges.journal = journal?.usage
        gauges.idempotency = idempotency.usage()
        gauges.limiter = limiter.usage()
        gauges.policyVersion = status.set.shortVersion
        gauges.policyLoadedAt = status.loadedAt
        gauges.droppedLogLines = log.droppedLines
        gauges.reloads = [("policies", status.reloads, status.refusals)]
        for files in ReloadedFiles.allCases {
            let reloads = status.files[files] ?? FileReloadStatus()
            gauges.reloads.append((files.rawValue, reloads.accepted, reloads.refused))
        }
        gauges.isReady = !drain.isAnnounced
        gauges.upstream = cluster.withLock { $0 }?.usage()
        gauges.bodies = bodies.usage
        gauges.connectionLimit = connections.limiter.limit
        for organization in status.set.organizations.values {
            gauges.organizations[organization.key] = organization.id
        }
        let reconciler = reconciler.withLock { $0 }
        gauges.overdueLeases = reconciler?.overdueLeases ?? 0
        gauges.polls = reconciler?.pollCounts
        gauges.unknownStatuses = statusReader.unknownCount
        gauges.pollShares = reconciler?.pollShares ?? []
        metrics.render(gauges, to: &out)
    }

    /// Adds the lease of a job that runs since before the start of this process.
    func restore(_ job: RunningJob) {
        let matrix = policies.current.concurrency
        // A type of work that the policies do not name gets the first kind that they name.
        guard let kind = matrix.kind(named: job.job.type) ?? matrix.kinds.first else { return }
        leases.rebuild(job.key, kind: kind, job: job.job, now: clock.moment)
    }
}
