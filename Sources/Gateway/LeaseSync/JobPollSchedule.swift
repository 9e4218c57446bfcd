internal import Policy
internal import Transport

/// What the upstream said about a lease.
enum JobStatus: Equatable, Sendable {
    /// The job of the lease.
    case job(LeaseJob)
    /// The upstream has no such job.
    case notFound
    /// The jobs of the connection, for a lease whose job has no name yet.
    case jobs([LeaseJob])
    /// A list of many connections' jobs did not show it, which proves nothing.
    case notListed
    /// No answer, or one that proves nothing.
    case unknown(DoubtfulResponse)

    var isJob: Bool { if case .job = self { true } else { false } }

    /// Why it proves nothing; for `unknown` only.
    var doubt: DoubtfulResponse? { if case .unknown(let doubt) = self { doubt } else { nil } }
}

/// Which lease is asked about when, and what an answer is worth: the rules of ``RemoteLeaseReconciler``, without sockets or clock.
///
/// A limited number of questions is under way, and each answer lets the next one go. The organizations share that number:
/// when one's questions hang, the leases of the others are still asked about. Within an organization, leases that just
/// refused a request come first, then those that have been due longest. Where many are due, one list is asked for all of
/// them.
struct JobPollSchedule {
    private struct Poll {
        var state: LeaseState
        /// When the state became known, which is not before it began.
        let since: Instant
        var due: Instant
        var delay = JobPollSchedule.firstDelay
        /// When the question that is under way was asked.
        var polledAt: Instant?
        /// That question is for a list of many leases, which may take long.
        var isInList = false
        /// When the last question was asked.
        var lastPolledAt: Instant?
        /// Somebody was refused because of the lease since the last question.
        var isAwaited = false
        /// A list of many connections' jobs did not show its job: it is asked about alone.
        var isPolledAlone = false

        /// A lease that somebody waits for is asked about alone, even while a list for it is under way.
        var canBePolled: Bool { polledAt == nil || (isInList && isAwaited) }
        /// From this time on the request cannot be at work any more, and a list without its job is believed.
        var believesFrom: Instant
        /// When the question was asked that was the first not to find the job.
        var missingSince: Instant?
        /// When the question was asked that was the first to find no job that runs.
        var idleSince: Instant?
        var isOverdueReported = false
    }

    /// A lease to ask about, and its place in the order of its organization.
    private struct Ready {
        let lease: PolledLease
        let isAwaited: Bool
        let isPolledAlone: Bool
        let due: Instant

        static func < (one: Ready, other: Ready) -> Bool {
            if one.isAwaited != other.isAwaited { return other.isAwaited }
            return (one.due, one.lease.serial) > (other.due, other.lease.serial)
        }
    }

    private struct PollID: Hashable {
        let serial: UInt64
        let polledAt: Instant
    }

    private var polls: [UInt64: Poll] = [:]
    /// The leases to ask about, by organization; the next one is the last of the array.
    private var ready: [String: [Ready]] = [:]
    /// A waiter stands for one turn of an organization; which of its leases gets the turn is decided when it comes.
    private var shares = FairShares<String>(capacity: JobPollSchedule.maxQuestions, maxWaiting: .max)
    private var turns: [String: Int] = [:]
    private var underWay: [PollID: ShareSlot] = [:]

    /// Questions that may be under way at once.
    static let maxQuestions = 32
    /// The fewest leases for which one list is asked. Fewer are asked about one by one, which says more.
    static let minListed = 8
    static let maxListed = 500
    /// Between two questions about a lease that somebody waits for.
    static let awaitedDelay = Duration.seconds(1)
    static let firstDelay = Duration.seconds(1)
    static let maxDelay = Duration.seconds(15)
    /// A job counts as gone only after two polls, at least this far apart, both missed it: a new job may not be visible yet.
    static let missingTime = Duration.seconds(5)
    /// After the time that a request may take, its work may still be on its way to become a job.
    static let settlingTime = Duration.seconds(2)
    /// Where work was accepted, a list without a job has to be confirmed this much later: the job may not be visible yet.
    static let confirmingTime = Duration.seconds(1)
    /// No job is believed to take this long.
    static let overdueMilliseconds: Int64 = 24 * 3_600_000

    /// Forgets everything: there are no leases.
    mutating func removeAll() {
        polls.removeAll()
        ready.removeAll()
    }

    /// Takes note of the leases there are. Returns those that last for their request only, once that cannot be at work any
    /// more.
    mutating func record(_ leases: [PolledLease], now: Instant) -> [PolledLease] {
        var kept: [UInt64: Poll] = [:]
        kept.reserveCapacity(leases.count)
        ready.removeAll(keepingCapacity: true)
        var ended: [PolledLease] = []
        for lease in leases {
            let known = polls[lease.serial]
            var poll = known.flatMap { $0.state == lease.state ? $0 : nil } ?? first(of: lease, after: known, now)
            if lease.isAwaited { poll.isAwaited = true }
            if poll.isAwaited {
                poll.due = min(poll.due, poll.lastPolledAt.map { $0 + Self.awaitedDelay } ?? poll.due)
            }
            kept[lease.serial] = poll
            if lease.lifetime == .request {
                if poll.believesFrom <= now { ended.append(lease) }
            } else if poll.canBePolled, poll.due <= now {
                ready[lease.key.organization, default: []].append(
                    Ready(
                        lease: lease, isAwaited: poll.isAwaited, isPolledAlone: poll.isPolledAlone || !lease.isListed,
                        due: poll.due))
            }
        }
        polls = kept
        for organization in ready.keys {
            ready[organization]?.sort(by: <)
            queue(organization)
        }
        return ended
    }

    /// Has an organization wait for as many questions as it has leases to ask about.
    private mutating func queue(_ organization: String) {
        let wanted = min(ready[organization]?.count ?? 0, Self.maxQuestions)
        let owner = ShareOwner(organization: processKey(of: organization), token: 0)
        while turns[organization, default: 0] < wanted {
            var slot = ShareSlot.unknown
            guard case .waits = shares.wait(for: 1, of: owner, &slot, organization) else { return }
            turns[organization, default: 0] += 1
        }
    }

    /// The leases to ask about now with one question; empty where there are none, or too many questions are under way.
    mutating func next(now: Instant) -> [PolledLease] {
        while let (organization, slot) = shares.next() {
            turns[organization] = turns[organization].flatMap { $0 > 1 ? $0 - 1 : nil }
            let leases = takeReady(of: organization)
            guard let first = leases.first else {
                shares.give(1, of: slot)
                continue
            }
            queue(organization)
            for lease in leases {
                polls[lease.serial]?.polledAt = now
                polls[lease.serial]?.lastPolledAt = now
                polls[lease.serial]?.isAwaited = false
                polls[lease.serial]?.isInList = leases.count > 1
            }
            if let double = underWay.updateValue(slot, forKey: PollID(serial: first.serial, polledAt: now)) {
                shares.give(1, of: double)
            }
            return leases
        }
        return []
    }

    /// The first lease to ask about, with those that the same list may show.
    private mutating func takeReady(of organization: String) -> [PolledLease] {
        while let first = ready[organization]?.popLast() {
            guard polls[first.lease.serial]?.canBePolled ?? false else { continue }
            // Somebody waits: a question about this lease alone says most, and is answered soonest.
            if first.isAwaited || first.isPolledAlone { return [first.lease] }
            func isShown(_ other: Ready) -> Bool {
                !other.isPolledAlone && other.lease.family == first.lease.family
                    && other.lease.origin.pathStart == first.lease.origin.pathStart
                    && polls[other.lease.serial]?.polledAt == nil
            }
            let others = ready[organization]?.filter(isShown).suffix(Self.maxListed - 1) ?? []
            guard others.count >= Self.minListed - 1 else { return [first.lease] }
            let serials = Set(others.map(\.lease.serial))
            ready[organization]?.removeAll { serials.contains($0.lease.serial) }
            return [first.lease] + others.map(\.lease)
        }
        return []
    }

    /// The watch of a lease whose state is new; `known` is its watch from the state before.
    private func first(of lease: PolledLease, after known: Poll?, _ now: Instant) -> Poll {
        let sent = (lease.sentAt ?? now) + (lease.origin.responseTimeout ?? .zero) + Self.settlingTime
        let believesFrom = max(known?.believesFrom ?? sent, now + Self.settlingTime)
        let due =
            switch lease.state {
            // If the service began the work at once, its job is visible by then.
            case .uncertain: now + Self.settlingTime
            // A cancelled job ends soon.
            case .draining: now
            case .reserved, .held: now + Self.firstDelay
            }
        return Poll(state: lease.state, since: now, due: due, believesFrom: believesFrom)
    }

    /// What to make of an answer.
    enum Action: Equatable {
        case nothing
        case shown(LeaseJob)
        case vanished
        /// Call `resolved` with what came of it.
        case resolve([LeaseJob], mayFree: Bool)
    }

    /// The questions under way, and those that wait, by organization.
    var usage: [ShareUsage] { shares.usage }

    /// The question about `lease` was asked at `polledAt` and is answered. `jitter` is about 1.
    mutating func answered(
        _ lease: PolledLease, _ status: JobStatus, polledAt: Instant, now: Instant, jitter: Double
    ) -> Action {
        if let slot = underWay.removeValue(forKey: PollID(serial: lease.serial, polledAt: polledAt)) {
            shares.give(1, of: slot)
        }
        // The lease may have ended, or become another thing, meanwhile.
        guard var poll = polls[lease.serial], poll.state == lease.state, poll.polledAt == polledAt else {
            return .nothing
        }
        defer { polls[lease.serial] = poll }
        poll.polledAt = nil
        poll.due = now + poll.delay * jitter
        if lease.state == .uncertain, now < poll.believesFrom { poll.due = min(poll.due, poll.believesFrom) }
        if status == .notListed {
            poll.isPolledAlone = true
            poll.due = now
            return .nothing
        }
        poll.delay = min(poll.delay * 1.5, Self.maxDelay)
        switch (status, lease.state) {
        case (.job(let job), .held), (.job(let job), .draining):
            poll.missingSince = nil
            return .shown(job)
        case (.notFound, .held), (.notFound, .draining):
            guard let since = poll.missingSince else {
                poll.missingSince = polledAt
                return .nothing
            }
            return polledAt >= since + Self.missingTime ? .vanished : .nothing
        case (.jobs(let jobs), .uncertain) where polledAt >= poll.since + Self.settlingTime:
            let isConfirmed = poll.idleSince.map { polledAt >= $0 + Self.confirmingTime } ?? false
            return .resolve(jobs, mayFree: polledAt >= poll.believesFrom && (!lease.isAccepted || isConfirmed))
        case (.job, _), (.notFound, _), (.jobs, _), (.unknown, _), (.notListed, _): return .nothing
        }
    }

    /// What came of a verdict to resolve.
    mutating func resolved(_ lease: PolledLease, _ resolution: LeaseTable.Resolution, polledAt: Instant, now: Instant) {
        switch resolution {
        case .idle:
            guard let poll = polls[lease.serial], polledAt >= poll.believesFrom else { return }
            if poll.idleSince == nil { polls[lease.serial]?.idleSince = polledAt }
            polls[lease.serial]?.due = now + Self.confirmingTime
        case .open, .held, .freed: polls[lease.serial]?.idleSince = nil
        }
    }

    /// The leases that have become too old to be believed since the last call, and how many there are in all.
    mutating func overdue(_ leases: [PolledLease], epochMilliseconds: Int64) -> (new: [PolledLease], count: Int) {
        let old = leases.filter { epochMilliseconds - $0.since >= Self.overdueMilliseconds }
        let new = old.filter { !(polls[$0.serial]?.isOverdueReported ?? true) }
        for lease in new { polls[lease.serial]?.isOverdueReported = true }
        return (new, old.count)
    }
}
