internal import HTTP
internal import Policy
package import Transport

/// The right to be the one running job of a connection. Dropping the lease concludes it: the lease becomes free if
/// nothing was sent to the upstream, and uncertain after ``forwarded(at:)``.
///
/// A lease that lasts only for its request (`LeaseKind.Lifetime.request`) has no job to poll. When it is uncertain, it
/// becomes free once its request cannot be at work any more.
package struct Lease: ~Copyable, Sendable {
    private let inPlace = AddressPin()
    package let key: LeaseKey
    private let table: LeaseTable
    let serial: UInt64
    /// See ``LeaseEntry``.
    package let generation: UInt64
    private let lifetime: LeaseKind.Lifetime
    /// The time of ``forwarded(at:)``.
    private var sentAt: Instant?
    /// The position in the journal of what must be on the disk before the request is sent.
    let position: UInt64
    private var isConcluded = false

    init(
        key: LeaseKey, table: LeaseTable, serial: UInt64, generation: UInt64, lifetime: LeaseKind.Lifetime,
        position: UInt64
    ) {
        self.key = key
        self.table = table
        self.serial = serial
        self.generation = generation
        self.lifetime = lifetime
        self.position = position
    }

    deinit {
        if isConcluded { return }
        if let sentAt {
            table.conclude(key, serial, as: .uncertain, sentAt: sentAt)
        } else {
            table.conclude(key, serial, as: .free)
        }
    }

    /// Suspends until the reservation would survive a crash; returns at once without a journal. Call it before anything
    /// is sent upstream: if the process crashes after the upstream started a job, the next process must find the
    /// connection leased. A lease that lasts only for its request need not survive, but its generation must not come again.
    package func waitUntilDurable() async throws(LeaseJournal.Unavailable) {
        guard position > 0 else { return }
        try await table.waitUntilDurable(position)
    }

    /// Whether the lease lasts as long as the job that the request starts.
    package var isForJob: Bool { lifetime == .job }

    /// From now on the upstream may have started the work.
    package mutating func forwarded(at now: Instant = .now()) { sentAt = now }

    /// Undoes ``forwarded(at:)``: nothing of the request was sent.
    package mutating func undoForwarded() { sentAt = nil }

    /// The upstream started `job`. The lease stays in the table until the job ends.
    package consuming func bind(_ job: LeaseJob, now: Moment) {
        isConcluded = true
        table.bind(key, serial, job, now: now)
    }

    /// The work did not start, or the request that held the lease is over.
    package consuming func release() {
        isConcluded = true
        table.conclude(key, serial, as: .free)
    }

    /// It is unknown whether the work started. `isAccepted`: the upstream accepted the work without naming a job.
    package consuming func leaveUncertain(isAccepted: Bool = false) {
        isConcluded = true
        table.conclude(key, serial, as: isAccepted ? .accepted : .uncertain, sentAt: sentAt)
    }

    /// The request was refused, because `job` runs, of which the gateway did not know. The lease becomes that of the job, and this is
    /// the conflict that refuses the request.
    package consuming func adopt(_ job: LeaseJob, now: Moment) -> LeaseConflict {
        isConcluded = true
        return table.adopt(key, serial, job, now: now)
    }

    /// The upstream responded with `status`, and perhaps named the job that it started. `isTurnedAway`: the response has
    /// `Retry-After` (RFC 9110, section 15.6.4), so the upstream is not at work on the request.
    package consuming func conclude(status: Int, started job: LeaseJob?, isTurnedAway: Bool = false, now: Moment) {
        switch status {
        case 200...299:
            // Without the job's id the lease is uncertain until a poll shows the running jobs. A 202 only accepts the
            // work (RFC 9110, section 15.3.3): an ended job in it is the state before this request.
            if lifetime == .request {
                release()
            } else if let job, status != 202 || !job.hasEnded {
                bind(job, now: now)
            } else {
                leaveUncertain(isAccepted: true)
            }
        // A state update is over when the service itself responds with an error.
        case 500, 501, 503, 505:
            if lifetime == .request { return release() }
            // An early `sentAt` lets the first poll that lists no job free the lease.
            if status == 503, isTurnedAway { sentAt = Instant(nanoseconds: 0) }
            leaveUncertain()
        // A redirect can point to a later result.
        case 300...399 where lifetime == .job: leaveUncertain()
        case 500...599: leaveUncertain()
        case _ where HTTPStatus.leavesWorkOpen(status): leaveUncertain()
        default: release()
        }
    }
}
