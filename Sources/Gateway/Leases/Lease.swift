internal import Policy
package import Transport

/// The right to be the one running job of a connection. Dropping it settles it, whichever way the request ends:
/// free while nothing was sent to the upstream, uncertain after ``forwarded(at:)``.
///
/// A lease that lasts for the request only (`LeaseKind.holds == .request`) has no job to ask about: one that is uncertain is free
/// once its request cannot be at work any more.
package struct Lease: ~Copyable, Sendable {
    private let inPlace = AddressPin()
    package let key: LeaseKey
    private let table: LeaseTable
    private let serial: UInt64
    private let lifetime: LeaseKind.Lifetime
    /// The moment of ``forwarded(at:)``.
    private var sentAt: Instant?
    /// Where the journal has the reservation.
    let position: UInt64
    private var isConcluded = false

    init(key: LeaseKey, table: LeaseTable, serial: UInt64, lifetime: LeaseKind.Lifetime, position: UInt64) {
        self.key = key
        self.table = table
        self.serial = serial
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

    /// Suspends until the reservation would outlive a crash; at once where nothing is kept. Before anything goes upstream: a
    /// job that a lost process started must not find its connection free.
    package func secure() async throws(LeaseJournal.Unavailable) {
        guard lifetime == .job else { return }
        try await table.secure(position)
    }

    /// Whether it lives as long as the job that the request starts.
    package var isForJob: Bool { lifetime == .job }

    /// From here on the upstream may have started the work.
    package mutating func forwarded(at now: Instant = .now()) { sentAt = now }

    /// Nothing of the request has left after all.
    package mutating func recalled() { sentAt = nil }

    /// The upstream started `job`: the lease lives on in the table until the job ends.
    package consuming func bind(_ job: LeaseJob, now: Int64) {
        isConcluded = true
        table.bind(key, serial, job, now: now)
    }

    /// The work did not start, or the request that held it is over.
    package consuming func release() {
        isConcluded = true
        table.conclude(key, serial, as: .free)
    }

    /// Nobody knows whether the work started; with `isAccepted` it probably did, for the upstream said so without naming a job.
    package consuming func leaveUncertain(isAccepted: Bool = false) {
        isConcluded = true
        table.conclude(key, serial, as: isAccepted ? .accepted : .uncertain, sentAt: sentAt)
    }

    /// The upstream answered with `status`, and with the job it started where it named one. `isTurnedAway`: it says when to
    /// come back (RFC 9110, section 15.6.4), and so that it is not at work.
    package consuming func conclude(status: Int, started job: LeaseJob?, isTurnedAway: Bool = false, now: Int64) {
        switch status {
        case 200...299:
            // Without the job's id the lease is uncertain until the upstream has been asked what runs. Work that was only
            // accepted (RFC 9110, section 15.3.3) has not ended: a 202 that shows an ended job shows it as it was before.
            if lifetime == .request {
                release()
            } else if let job, status != 202 || !job.hasEnded {
                bind(job, now: now)
            } else {
                leaveUncertain(isAccepted: true)
            }
        // With an error of its own a service has finished with a state update.
        case 500, 501, 503, 505:
            if lifetime == .request { return release() }
            // As if it had been sent long ago: a list without a job then frees it at the first poll.
            if status == 503, isTurnedAway { sentAt = Instant(nanoseconds: 0) }
            leaveUncertain()
        // The work may go on: timeouts come from proxies that stopped waiting, and redirects point to a later result.
        case 300...399 where lifetime == .job: leaveUncertain()
        case 408, 460, 499, 500...599: leaveUncertain()
        default: release()
        }
    }
}
