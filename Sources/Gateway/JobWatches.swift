internal import Transport

/// What the upstream said about a lease.
enum JobAnswer: Equatable, Sendable {
    /// The job of the lease.
    case job(LeaseJob)
    /// The upstream has no such job.
    case notFound
    /// The jobs of the connection, for a lease whose job has no name yet.
    case jobs([LeaseJob])
    /// No answer, or one that cannot be trusted.
    case unknown
}

/// Which lease is asked about when, and what an answer is worth: the rules of ``JobWatcher``, without sockets or clock.
struct JobWatches {
    private struct Watch {
        var state: LeaseState
        /// Since when the state is known: not earlier than it is so.
        let since: Instant
        var due: Instant
        var delay = JobWatches.firstDelay
        /// When the question that is under way was asked.
        var askedAt: Instant?
        /// Since when the upstream does not know the job.
        var missingSince: Instant?
        /// Since when nothing runs.
        var idleSince: Instant?
        var isOverdueTold = false
    }

    private var watches: [UInt64: Watch] = [:]

    static let firstDelay = Duration.seconds(1)
    static let longestDelay = Duration.seconds(15)
    /// A job that was just started may not be visible yet.
    static let missingTime = Duration.seconds(5)
    /// A request whose answer was lost may still be at work.
    static let settlingTime = Duration.seconds(2)
    /// Work that was accepted may be on its way to become a job.
    static let confirmingTime = Duration.seconds(1)
    /// No job is believed to take this long.
    static let overdueMilliseconds: Int64 = 24 * 3_600_000

    /// Forgets everything: there are no leases.
    mutating func removeAll() { watches.removeAll() }

    /// Takes note of the leases there are, and returns those to ask about now, the longest due first, at most `room`.
    mutating func due(_ leases: [WatchedLease], now: Instant, room: Int) -> [WatchedLease] {
        var kept: [UInt64: Watch] = [:]
        kept.reserveCapacity(leases.count)
        var due: [(at: Instant, lease: WatchedLease)] = []
        for lease in leases {
            let watch = watches[lease.serial].flatMap { $0.state == lease.state ? $0 : nil } ?? first(of: lease, now)
            kept[lease.serial] = watch
            if watch.askedAt == nil, watch.due <= now { due.append((watch.due, lease)) }
        }
        watches = kept
        due.sort { ($0.at, $0.lease.serial) < ($1.at, $1.lease.serial) }
        let chosen = due.prefix(max(0, room)).map(\.lease)
        for lease in chosen { watches[lease.serial]?.askedAt = now }
        return chosen
    }

    private func first(of lease: WatchedLease, _ now: Instant) -> Watch {
        switch lease.state {
        // Earlier answers would prove nothing.
        case .uncertain: Watch(state: lease.state, since: now, due: now + Self.settlingTime)
        // A cancelled job ends soon.
        case .draining: Watch(state: lease.state, since: now, due: now)
        case .reserved, .held: Watch(state: lease.state, since: now, due: now + Self.firstDelay)
        }
    }

    /// What to make of an answer.
    enum Verdict: Equatable {
        case nothing
        case shown(LeaseJob)
        case vanished
        /// To be told to `resolved` afterwards.
        case resolve([LeaseJob], mayFree: Bool)
    }

    /// The question about `lease` was asked at `askedAt` and is answered. `jitter` is about 1.
    mutating func answered(
        _ lease: WatchedLease, _ answer: JobAnswer, askedAt: Instant, now: Instant, jitter: Double
    ) -> Verdict {
        // The lease may have ended, or become another thing, meanwhile.
        guard var watch = watches[lease.serial], watch.state == lease.state, watch.askedAt == askedAt else {
            return .nothing
        }
        defer { watches[lease.serial] = watch }
        watch.askedAt = nil
        watch.due = now + watch.delay * jitter
        watch.delay = min(watch.delay * 1.5, Self.longestDelay)
        switch (answer, lease.state) {
        case (.job(let job), .held), (.job(let job), .draining):
            watch.missingSince = nil
            return .shown(job)
        case (.notFound, .held), (.notFound, .draining):
            guard let since = watch.missingSince else {
                watch.missingSince = askedAt
                return .nothing
            }
            return askedAt >= since + Self.missingTime ? .vanished : .nothing
        case (.jobs(let jobs), .uncertain) where askedAt >= watch.since + Self.settlingTime:
            let isConfirmed = watch.idleSince.map { askedAt >= $0 + Self.confirmingTime } ?? false
            return .resolve(jobs, mayFree: !lease.isAccepted || isConfirmed)
        case (.job, _), (.notFound, _), (.jobs, _), (.unknown, _): return .nothing
        }
    }

    /// What came of a verdict to resolve.
    mutating func resolved(_ lease: WatchedLease, _ resolution: LeaseTable.Resolution, askedAt: Instant, now: Instant) {
        switch resolution {
        case .idle:
            if watches[lease.serial]?.idleSince == nil { watches[lease.serial]?.idleSince = askedAt }
            watches[lease.serial]?.due = now + Self.confirmingTime
        case .open, .held, .freed: watches[lease.serial]?.idleSince = nil
        }
    }

    /// The leases that have become too old to be believed since the last call, and how many there are in all.
    mutating func overdue(_ leases: [WatchedLease], epochMilliseconds: Int64) -> (new: [WatchedLease], count: Int) {
        let old = leases.filter { epochMilliseconds - $0.since >= Self.overdueMilliseconds }
        let new = old.filter { !(watches[$0.serial]?.isOverdueTold ?? true) }
        for lease in new { watches[lease.serial]?.isOverdueTold = true }
        return (new, old.count)
    }
}
