internal import Synchronization
internal import Transport

/// Keeps the leases in step with the jobs of an upstream on other machines, by asking: how far a lease's job is, and which
/// jobs run where an answer was lost.
///
/// `@unchecked Sendable`: used on its loop's thread only, but for `overdueLeases`.
final class RemoteLeaseReconciler: @unchecked Sendable {
    private let loop: EventLoop
    private let leases: LeaseTable
    private let journal: LeaseJournal?
    private let questions: JobStatusClient
    private let clock: @Sendable () -> Instant
    private let wallClock: WallClock
    private let alarm: @Sendable (String) -> Void
    private let overdue = Atomic<Int>(0)
    private var schedule = JobPollSchedule()
    private var troubles = PollFailures()
    private let counts = Mutex(PollCounts())
    private let shares = Mutex<[ShareUsage]>([])
    private var random = FastRandom()

    /// `alarm` gets a line for the operator when a lease is older than any job should be. It is not freed.
    init(
        loop: EventLoop, leases: LeaseTable, journal: LeaseJournal?, questions: JobStatusClient,
        clock: @escaping @Sendable () -> Instant = Instant.now, wallClock: WallClock = .system,
        alarm: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.leases = leases
        self.journal = journal
        self.questions = questions
        self.clock = clock
        self.wallClock = wallClock
        self.alarm = alarm
    }

    /// Leases older than any job should be, for metrics. From any thread.
    var overdueLeases: Int { overdue.load(ordering: .relaxed) }

    /// How questions were answered, for metrics. From any thread.
    var questionCounts: PollCounts { counts.withLock { $0 } }

    /// The organizations whose questions were under way or waited when the watcher looked last, for metrics. From any thread.
    var questionShares: [ShareUsage] { shares.withLock { $0 } }

    /// Looks every second. Before the loop runs.
    func begin() { loop.every(.seconds(1)) { [self] in tick(epochMilliseconds: wallClock.milliseconds) } }

    func tick(epochMilliseconds: Int64) {
        let now = clock()
        journal?.sendAway(now: now)
        guard !leases.isEmpty || leases.hasLingering else {
            schedule.removeAll()
            shares.withLock { $0 = schedule.usage }
            return overdue.store(0, ordering: .relaxed)
        }
        let watched = leases.watched()
        for lease in schedule.note(watched, now: now) { leases.endRequest(lease.key, lease.serial) }
        askNext(now)
        shares.withLock { $0 = schedule.usage }
        tellOverdue(watched, epochMilliseconds)
    }

    private func askNext(_ now: Instant) {
        while true {
            let leases = schedule.next(now: now)
            if leases.isEmpty { return }
            ask(about: leases, now: now)
        }
    }

    private func ask(about leases: [PolledLease], now: Instant) {
        let moment = self.leases.moment()
        Task(executorPreference: loop) {
            if leases.count > 1 {
                let (answers, doubt) = await self.questions.ask(about: leases)
                for (lease, answer) in zip(leases, answers) { self.apply(answer, to: lease, moment, askedAt: now) }
                self.note(doubt, of: leases[0].key.organization, showsNone: !answers.contains(where: \.isJob))
            } else {
                let answer = await self.questions.ask(about: leases[0])
                self.apply(answer, to: leases[0], moment, askedAt: now)
                self.note(answer.doubt, of: leases[0].key.organization, showsNone: false)
            }
            self.askNext(self.clock())
        }
    }

    private func note(_ doubt: DoubtfulAnswer?, of organization: String, showsNone: Bool) {
        counts.withLock { $0.count(doubt) }
        // Leases that a list for many does not show are asked about again, one by one: those answers tell whether there is
        // trouble.
        if showsNone { return }
        if let line = troubles.answered(organization, doubt) { alarm(line) }
    }

    private func apply(_ answer: JobStatus, to lease: PolledLease, _ moment: LeaseMoment, askedAt: Instant) {
        let jitter = Double.random(in: 0.9...1.1, using: &random)
        leases.apply(
            answer, to: lease, moment, &schedule, askedAt: askedAt, now: clock(), time: wallClock.milliseconds,
            jitter: jitter)
    }

    private func tellOverdue(_ watched: [PolledLease], _ epochMilliseconds: Int64) {
        let (new, count) = schedule.overdue(watched, epochMilliseconds: epochMilliseconds)
        overdue.store(count, ordering: .relaxed)
        for lease in new {
            let hours = (epochMilliseconds - lease.since) / 3_600_000
            alarm(
                "connection \(lease.key.connection) of \(lease.key.organization) has been held for \(hours) hours by "
                    + "\(lease.kind) job \(lease.job?.id ?? "of unknown id"): the upstream does not say that it has ended"
            )
        }
    }
}

extension LeaseTable {
    /// Does what an answer is worth.
    func apply(
        _ answer: JobStatus, to lease: PolledLease, _ moment: LeaseMoment, _ schedule: inout JobPollSchedule,
        askedAt: Instant, now: Instant, time: Int64, jitter: Double
    ) {
        switch schedule.answered(lease, answer, askedAt: askedAt, now: now, jitter: jitter) {
        case .nothing: break
        case .shown(let job): jobShown(lease.key, job, askedAt: moment, now: time)
        case .vanished: jobVanished(lease.key, lease.serial, askedAt: moment, now: time)
        case .resolve(let jobs, let mayFree):
            let resolution = resolve(lease.key, lease.serial, jobs: jobs, mayFree: mayFree, askedAt: moment, now: time)
            schedule.resolved(lease, resolution, askedAt: askedAt, now: now)
        }
    }
}
