internal import Synchronization
internal import Transport

/// Keeps the leases in step with the jobs of a remote upstream: polls the status of each lease's job, and lists the
/// running jobs for uncertain leases.
///
/// `@unchecked Sendable`: used on its loop's thread only, except for the members marked "from any thread".
final class RemoteLeaseReconciler: @unchecked Sendable {
    private let loop: EventLoop
    private let leases: LeaseTable
    private let journal: LeaseJournal?
    private let statusClient: JobStatusClient
    private let clock: @Sendable () -> Instant
    private let wallClock: WallClock
    private let report: @Sendable (String) -> Void
    private let overdue = Atomic<Int>(0)
    private var schedule = JobPollSchedule()
    private var failures = PollFailures()
    private let counts = Mutex(PollCounts())
    private let shares = Mutex<[ShareUsage]>([])
    private var random = FastRandom()

    /// `report` gets a line for the operator when a lease is overdue. An overdue lease is not freed.
    init(
        loop: EventLoop, leases: LeaseTable, journal: LeaseJournal?, statusClient: JobStatusClient,
        clock: @escaping @Sendable () -> Instant = Instant.now, wallClock: WallClock = .system,
        report: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.leases = leases
        self.journal = journal
        self.statusClient = statusClient
        self.clock = clock
        self.wallClock = wallClock
        self.report = report
    }

    /// The number of overdue leases, for metrics. From any thread.
    var overdueLeases: Int { overdue.load(ordering: .relaxed) }

    /// The results of status polls, for metrics. From any thread.
    var pollCounts: PollCounts { counts.withLock { $0 } }

    /// The polls in flight and the waiting polls of each organization at the last tick, for metrics. From any thread.
    var pollShares: [ShareUsage] { shares.withLock { $0 } }

    /// Starts to tick every second. Call it before the loop runs.
    func begin() { loop.every(.seconds(1)) { [self] in tick(epochMilliseconds: wallClock.milliseconds) } }

    func tick(epochMilliseconds: Int64) {
        let now = clock()
        journal?.failLateWaiters(now: now)
        leases.removeSettled(now: now)
        guard !leases.isEmpty || leases.hasUncertainRequests else {
            schedule.removeAll()
            shares.withLock { $0 = schedule.usage }
            return overdue.store(0, ordering: .relaxed)
        }
        let polledLeases = leases.polledLeases()
        for lease in schedule.record(polledLeases, now: now) { leases.endRequest(lease.key, lease.serial) }
        pollNext(now)
        shares.withLock { $0 = schedule.usage }
        reportOverdue(polledLeases, epochMilliseconds)
    }

    private func pollNext(_ now: Instant) {
        while true {
            let leases = schedule.next(now: now)
            if leases.isEmpty { return }
            poll(leases, now: now)
        }
    }

    private func poll(_ leases: [PolledLease], now: Instant) {
        let revision = self.leases.revision()
        Task(executorPreference: loop) {
            if leases.count > 1 {
                let (statuses, doubt) = await self.statusClient.poll(leases)
                for (lease, status) in zip(leases, statuses) { self.apply(status, to: lease, revision, polledAt: now) }
                self.record(doubt, of: leases[0].key.organization, showsNone: !statuses.contains(where: \.isJob))
            } else {
                let status = await self.statusClient.poll(leases[0])
                self.apply(status, to: leases[0], revision, polledAt: now)
                self.record(status.doubt, of: leases[0].key.organization, showsNone: false)
            }
            self.pollNext(self.clock())
        }
    }

    private func record(_ doubt: InconclusiveResponse?, of organization: String, showsNone: Bool) {
        counts.withLock { $0.count(doubt) }
        // Leases that a shared list does not show are polled again one by one; those responses show whether polling works.
        if showsNone { return }
        if let line = failures.record(organization, doubt) { report(line) }
    }

    private func apply(_ status: JobStatus, to lease: PolledLease, _ revision: LeaseRevision, polledAt: Instant) {
        let jitter = Double.random(in: 0.9...1.1, using: &random)
        leases.apply(
            status, to: lease, revision, &schedule, polledAt: polledAt,
            now: Moment(epochMilliseconds: wallClock.milliseconds, instant: clock()), jitter: jitter)
    }

    private func reportOverdue(_ polledLeases: [PolledLease], _ epochMilliseconds: Int64) {
        let (new, count) = schedule.overdue(polledLeases, epochMilliseconds: epochMilliseconds)
        overdue.store(count, ordering: .relaxed)
        for lease in new {
            let hours = (epochMilliseconds - lease.since) / 3_600_000
            report(
                "connection \(lease.key.connection) of \(lease.key.organization) has been held for \(hours) hours by "
                    + "\(lease.kind) job \(lease.job?.id ?? "of unknown id"): the upstream has not reported its end; check the job there"
            )
        }
    }
}

extension LeaseTable {
    /// Applies the result of a poll to the lease.
    func apply(
        _ status: JobStatus, to lease: PolledLease, _ revision: LeaseRevision, _ schedule: inout JobPollSchedule,
        polledAt: Instant, now: Moment, jitter: Double
    ) {
        switch schedule.completed(lease, status, polledAt: polledAt, now: now.instant, jitter: jitter) {
        case .nothing: break
        case .shown(let job): jobShown(lease.key, job, asOf: revision, now: now)
        case .vanished: jobVanished(lease.key, lease.serial, asOf: revision, now: now)
        case .resolve(let jobs, let mayFree):
            let resolution = resolve(lease.key, lease.serial, jobs: jobs, mayFree: mayFree, asOf: revision, now: now)
            schedule.resolved(lease, resolution, polledAt: polledAt, now: now.instant)
        }
    }
}
