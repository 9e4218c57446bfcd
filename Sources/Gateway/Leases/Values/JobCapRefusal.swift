package import Policy

/// Why a request may not start a job: its organization, or its token, runs as many as it may.
package struct JobCapRefusal: Error, Equatable, Sendable {
    package let cap: JobCap
    /// Some of the jobs that run, in the order of their start.
    package let running: [Running]

    /// A connection with the lease that the cap counts, as a conflict with it shows it.
    package struct Running: Equatable, Sendable {
        package let connection: String
        package let lease: LeaseConflict

        package init(connection: String, lease: LeaseConflict) {
            self.connection = connection
            self.lease = lease
        }
    }

    /// The maximum of jobs in `running`.
    static let maxShown = 10

    package init(cap: JobCap, running: [Running]) {
        self.cap = cap
        self.running = running
    }

    /// The seconds until the first of the shown jobs probably ends.
    package var retryAfterSeconds: Int { running.map(\.lease.retryAfterSeconds).min() ?? 1 }
}
