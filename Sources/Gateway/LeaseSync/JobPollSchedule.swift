internal import Policy
internal import Transport

/// The result of a status poll for one lease.
enum JobStatus: Equatable, Sendable {
    /// The job of the lease.
    case job(LeaseJob)
    /// The upstream has no such job.
    case notFound
    /// The jobs of the connection, for a lease whose job has no name yet.
    case jobs([LeaseJob])
    /// A list for many connections did not show the job, which proves nothing.
    case notListed
    /// No response, or one that proves nothing.
    case unknown(InconclusiveResponse)

    var isJob: Bool { if case .job = self { true } else { false } }

    /// Why the result proves nothing; only for `unknown`.
    var doubt: InconclusiveResponse? { if case .unknown(let doubt) = self { doubt } else { nil } }
}

/// Which lease is polled when, and what a result means: the rules of ``RemoteLeaseReconciler``, without sockets or clock.
///
/// The number of polls in flight is limited, and each result lets the next poll go out. The organizations share the
/// limit, so polls for one organization that hang do not stop the polls for the others. Within an organization, leases
/// that have just refused a request come first, then those that have been due longest. If many leases are due, one list
/// covers all of them.
struct JobPollSchedule {
    private struct Poll {
        var state: LeaseState
        /// When the state was first seen.
        let since: Instant
        var due: Instant
        var delay = JobPollSchedule.firstDelay
        /// When the poll in flight was sent.
        var polledAt: Instant?
        /// The poll in flight is a list for many leases, which may take long.
        var isInList = false
        /// When the last poll was sent.
        var lastPolledAt: Instant?
        /// The lease has refused a caller since the last poll.
        var isAwaited = false
        /// A list for many connections did not show the job, so the lease is polled alone.
        var isPolledAlone = false

        /// A lease that a caller waits for is polled alone, even while a list for it is in flight.
        var canBePolled: Bool { polledAt == nil || (isInList && isAwaited) }
        /// From this time on the request cannot be at work any more, so a list without its job frees the lease.
        var mayFreeFrom: Instant
        /// When the first poll that did not find the job was sent.
        var missingSince: Instant?
        /// When the first poll that found no running job was sent.
        var idleSince: Instant?
        var isOverdueReported = false
    }

    /// A lease that is due, with its position in the order of its organization.
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
    /// The leases that are due, by organization. The next one is the last of the array.
    private var ready: [String: [Ready]] = [:]
    /// Each waiter is one turn of an organization. Which of its leases gets the turn is decided when the turn comes.
    private var shares = FairShares<String>(capacity: JobPollSchedule.maxPolls, maxWaiting: .max)
    private var turns: [String: Int] = [:]
    private var underWay: [PollID: ShareSlot] = [:]

    /// The maximum number of polls in flight.
    static let maxPolls = 32
    /// The minimum number of leases for one shared list. Fewer leases are polled one by one, which proves more.
    static let minListed = 8
    static let maxListed = 500
    /// The time between two polls for a lease that a caller waits for.
    static let awaitedDelay = Duration.seconds(1)
    static let firstDelay = Duration.seconds(1)
    static let maxDelay = Duration.seconds(15)
    /// A job counts as ended after two polls, at least this far apart, that did not find it: a new job may not be
    /// visible yet.
    static let missingTime = Duration.seconds(5)
    /// The time after a request's response timeout in which its work may still appear as a job.
    static let appearanceTime = Duration.seconds(2)
    /// If work was accepted, a list without a job must be confirmed this much later: the job may not be visible yet.
    static let confirmingTime = Duration.seconds(1)
    /// An older lease is reported as overdue: no job should take this long.
    static let overdueMilliseconds: Int64 = 24 * 3_600_000

    /// Forgets all leases: there are none.
    mutating func removeAll() {
        polls.removeAll()
        ready.removeAll()
    }

    /// Updates the schedule with all current leases. Returns the leases that last only for their request and whose
    /// request cannot be at work any more.
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
                if poll.mayFreeFrom <= now { ended.append(lease) }
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

    /// Adds an organization to the queue once for each of its leases that is due, up to the limit.
    private mutating func queue(_ organization: String) {
        let wanted = min(ready[organization]?.count ?? 0, Self.maxPolls)
        let owner = ShareOwner(organization: processKey(of: organization), token: 0)
        while turns[organization, default: 0] < wanted {
            var slot = ShareSlot.unknown
            guard case .waits = shares.wait(for: 1, of: owner, &slot, organization) else { return }
            turns[organization, default: 0] += 1
        }
    }

    /// The leases for the next poll; empty if none is due, or too many polls are in flight.
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

    /// The first lease that is due, with others that the same list may show.
    private mutating func takeReady(of organization: String) -> [PolledLease] {
        while let first = ready[organization]?.popLast() {
            guard polls[first.lease.serial]?.canBePolled ?? false else { continue }
            // A caller waits: a poll for this lease alone proves most, and has the fastest response.
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

    /// The poll data of a lease in a new state; `known` is its data in the state before.
    private func first(of lease: PolledLease, after known: Poll?, _ now: Instant) -> Poll {
        let sent = (lease.sentAt ?? now) + (lease.origin.responseTimeout ?? .zero) + Self.appearanceTime
        let mayFreeFrom = max(known?.mayFreeFrom ?? sent, now + Self.appearanceTime)
        let due =
            switch lease.state {
            // If the service starts the work at once, the job is visible by then.
            case .uncertain: now + Self.appearanceTime
            // A cancelled job ends soon.
            case .draining: now
            case .reserved, .held, .settling: now + Self.firstDelay
            }
        return Poll(state: lease.state, since: now, due: due, mayFreeFrom: mayFreeFrom)
    }

    /// What to do after a result.
    enum Action: Equatable {
        case nothing
        case shown(LeaseJob)
        case vanished
        /// Resolve the lease, then call `resolved` with the outcome.
        case resolve([LeaseJob], mayFree: Bool)
    }

    /// The polls in flight and the waiting polls, by organization.
    var usage: [ShareUsage] { shares.usage }

    /// The poll for `lease` that was sent at `polledAt` has a result. `jitter` is about 1.
    mutating func completed(
        _ lease: PolledLease, _ status: JobStatus, polledAt: Instant, now: Instant, jitter: Double
    ) -> Action {
        if let slot = underWay.removeValue(forKey: PollID(serial: lease.serial, polledAt: polledAt)) {
            shares.give(1, of: slot)
        }
        // The lease may have ended or changed its state meanwhile.
        guard var poll = polls[lease.serial], poll.state == lease.state, poll.polledAt == polledAt else {
            return .nothing
        }
        defer { polls[lease.serial] = poll }
        poll.polledAt = nil
        poll.due = now + poll.delay * jitter
        if lease.state == .uncertain, now < poll.mayFreeFrom { poll.due = min(poll.due, poll.mayFreeFrom) }
        if status == .notListed {
            poll.isPolledAlone = true
            poll.due = now
            return .nothing
        }
        poll.delay = min(poll.delay * 1.5, Self.maxDelay)
        switch (status, lease.state) {
        case (.job(let job), .held), (.job(let job), .draining), (.job(let job), .settling):
            poll.missingSince = nil
            return .shown(job)
        case (.notFound, .held), (.notFound, .draining):
            guard let since = poll.missingSince else {
                poll.missingSince = polledAt
                return .nothing
            }
            return polledAt >= since + Self.missingTime ? .vanished : .nothing
        case (.jobs(let jobs), .uncertain) where polledAt >= poll.since + Self.appearanceTime:
            let isConfirmed = poll.idleSince.map { polledAt >= $0 + Self.confirmingTime } ?? false
            return .resolve(jobs, mayFree: polledAt >= poll.mayFreeFrom && (!lease.isAccepted || isConfirmed))
        case (.job, _), (.notFound, _), (.jobs, _), (.unknown, _), (.notListed, _): return .nothing
        }
    }

    /// A lease was resolved, as ``Action/resolve(_:mayFree:)`` asked.
    mutating func resolved(_ lease: PolledLease, _ resolution: LeaseTable.Resolution, polledAt: Instant, now: Instant) {
        switch resolution {
        case .idle:
            guard let poll = polls[lease.serial], polledAt >= poll.mayFreeFrom else { return }
            if poll.idleSince == nil { polls[lease.serial]?.idleSince = polledAt }
            polls[lease.serial]?.due = now + Self.confirmingTime
        case .open, .held, .freed: polls[lease.serial]?.idleSince = nil
        }
    }

    /// The leases that have become overdue since the last call, and the number of all overdue leases.
    mutating func overdue(_ leases: [PolledLease], epochMilliseconds: Int64) -> (new: [PolledLease], count: Int) {
        let old = leases.filter { epochMilliseconds - $0.since >= Self.overdueMilliseconds }
        let new = old.filter { !(polls[$0.serial]?.isOverdueReported ?? true) }
        for lease in new { polls[lease.serial]?.isOverdueReported = true }
        return (new, old.count)
    }
}
