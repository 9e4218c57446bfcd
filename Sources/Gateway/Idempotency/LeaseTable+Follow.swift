internal import Synchronization

extension LeaseTable {
    /// Follows a lease whose request has not been sent yet, so nothing of it is missed.
    func follow(_ lease: borrowing Lease) -> LeaseWaiter {
        let follower = LeaseWaiter(loop: nil)
        let serial = lease.serial
        shard(of: lease.key).records.withLock { records in
            _ = records.update(lease.key, serial: serial) { $0.waiters.append(follower) }
        }
        return follower
    }

    /// Follows the lease of a request whose response an earlier process was to get; `nil` if no lease can be that one, so that
    /// nobody can tell what became of the request.
    ///
    /// `openedAt`: the time of the request in milliseconds since the epoch; `nil` if only its own lease can be the one. A job that
    /// runs later may be somebody else's.
    func follow(_ work: IdempotencyWork, openedAt: Int64?) -> LeaseWaiter? {
        let follower = LeaseWaiter(loop: nil)
        let isFound = shard(of: work.lease).records.withLock { records in
            let entries = records.leases[work.lease]?.entries ?? []
            let lease =
                entries.first { $0.isOwn(of: work) }
                ?? openedAt.flatMap { openedAt in entries.first { $0.isRebuilt(for: work, openedAt: openedAt) } }
            guard let lease else { return false }
            if let job = lease.job, lease.mayHaveStarted(job) {
                follower.end(.job(job))
            } else {
                records.update(work.lease, serial: lease.serial) { $0.waiters.append(follower) }
            }
            return true
        }
        return isFound ? follower : nil
    }
}

extension LeaseEntry {
    /// Whether the work's own request took the lease. A lease that was adopted for the job of somebody else has the same generation,
    /// but no owner: see ``LeaseShardState/adopt(_:serial:_:revision:now:)``.
    fileprivate func isOwn(of work: IdempotencyWork) -> Bool { generation == work.generation && owner != nil }

    /// Whether the lease was made for a job that runs since before this process, and that the work may have started. The lease of
    /// the work excluded all others, so a job of its kind that is not older is that of the work.
    fileprivate func isRebuilt(for work: IdempotencyWork, openedAt: Int64) -> Bool {
        guard owner == nil, generation != work.generation, let job, job.type.spells(work.kind) else { return false }
        return (job.beganAt ?? since) >= openedAt - Self.clockTolerance
    }
}
