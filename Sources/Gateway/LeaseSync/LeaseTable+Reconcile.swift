internal import Synchronization

extension LeaseTable {
    /// Lists the running jobs of the upstream and updates the leases accordingly.
    ///
    /// Call it once after `observeJobs` at start, because a job may end between the list from which the leases were
    /// rebuilt and the first event. Then call it every second while ``hasUncertain``, and every 30 s otherwise. A
    /// failure changes nothing: a job of unknown status counts as running.
    package func reconcile(with upstream: any InProcessUpstream, now clock: WallClock)
        async throws(UpstreamFailure)
    {
        let revision = revision()
        let running = try await upstream.runningJobs()
        reconcile(running: running, asOf: revision, now: clock.moment)
    }

    /// Whether there are uncertain leases, which need a poll.
    ///
    /// Asked every second on a worker's loop, so nothing is copied.
    package var hasUncertain: Bool {
        shards.contains { shard in
            shard.records.withLock { records in
                records.leases.values.contains { $0.entries.contains { $0.state == .uncertain } }
            }
        }
    }
}
