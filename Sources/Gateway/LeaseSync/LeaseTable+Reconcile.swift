extension LeaseTable {
    /// Asks the upstream for the jobs that run and makes the leases agree with the answer.
    ///
    /// Run it once after `observeJobs` at start, because a job may end between the list that leases were rebuilt from and
    /// the first sign; then every second while ``hasUncertain`` and every half minute otherwise. A failure to answer changes
    /// nothing: a job of unknown status counts as running.
    package func reconcile(with upstream: any InProcessUpstream, now clock: WallClock)
        async throws(UpstreamFailure)
    {
        let revision = revision()
        let running = try await upstream.runningJobs()
        reconcile(running: running, asOf: revision, now: clock.milliseconds)
    }

    /// Whether a lease waits for the upstream to be asked.
    package var hasUncertain: Bool { usage().uncertain > 0 }
}
