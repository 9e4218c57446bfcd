internal import Policy
internal import Synchronization

/// Exact rate limits that all workers share: GCRA buckets in sharded tables.
///
/// A step charges all of its limits, or none. The shards of a request are locked in index order and held together until
/// the decision is made, so that parallel requests never see a partial charge.
package final class RateLimiter: Sendable {
    /// The size of the tables, for metrics.
    package struct Usage: Equatable, Sendable {
        package var buckets = 0
        /// Since the start: the buckets that were removed before they were full again, because a table was at its
        /// maximum.
        package var evictions = 0
        /// The memory of the tables.
        package var bytes = 0
    }

    private final class Shard: Sendable {
        let table: Mutex<BucketTable>

        init(maximumCount: Int) {
            table = Mutex(BucketTable(maximumCount: maximumCount))
        }
    }

    private let shards: [Shard]
    private let hashKey: (UInt64, UInt64)

    /// Memory stays at or below `maximumBuckets` x 64 bytes, whatever requests clients send, if the buckets of a shard are
    /// three quarters of a power of two or less.
    package init(maximumBuckets: Int = 1 << 20, shardCount: Int = 64) {
        precondition(shardCount > 0 && shardCount & (shardCount - 1) == 0, "the shard count is a power of two")
        shards = (0..<shardCount).map { _ in Shard(maximumCount: maximumBuckets / shardCount) }
        var random = SystemRandomNumberGenerator()
        hashKey = (random.next(), random.next())
    }

    /// A hasher for the key of a bucket. Combine the rule's name and its subject.
    package var keyHasher: BucketKeyHasher { BucketKeyHasher(key: hashKey) }

    /// Whether the request would pass all enforced limits of this step. Charges nothing.
    package func peek(_ batch: inout RateLimitBatch, now: UInt64) -> Bool {
        var passes = true
        for index in batch.limits.indices where batch.limits[index].isDue {
            let key = batch.limits[index].key
            let arrival = shard(of: key).table.withLock { $0.arrival(key) }
            batch.limits[index].check(arrival: arrival, now: now)
            batch.limits[index].settle()
            if batch.limits[index].isRefusing { passes = false }
        }
        return passes
    }

    /// If all enforced limits of this step have a unit left, charges the request to every limit of the step and returns
    /// `true`.
    ///
    /// Afterwards the batch has the remaining units of each limit. An exceeded limit that is only observed is not charged.
    package func take(_ batch: inout RateLimitBatch, now: UInt64) -> Bool {
        batch.takenAt = now
        switch batch.limits.count {
        case 0: return true
        case 1 where batch.limits[0].isDue: return takeOne(&batch.limits[0], now: now)
        default:
            let first = nextShard(in: batch, from: 0)
            return first == shards.count || takeAll(&batch, shard: first, passes: true, now: now)
        }
    }

    /// Returns the units that `take` charged to refundable limits. Call it if the work never began.
    package func refund(_ batch: inout RateLimitBatch, now: UInt64) {
        for index in batch.limits.indices where batch.limits[index].isCharged && batch.limits[index].isRefundable {
            let limit = batch.limits[index]
            let arrival = shard(of: limit.key).table.withLock { table in
                let now = table.latest(now)
                let arrival = table.arrival(limit.key)
                let refunded =
                    limit.refund(arrival: arrival, takenAt: batch.takenAt, now: now) ?? ExactNanoseconds(ceiling: now)
                table.store(limit.key, arrival: refunded, tolerance: limit.tolerance, now: now)
                return refunded
            }
            batch.limits[index].refunded(arrival, now: now)
        }
    }

    /// Counts the buckets of all shards. For metrics, not for the hot path.
    package func usage() -> Usage {
        var usage = Usage()
        for shard in shards {
            shard.table.withLock { table in
                usage.buckets += table.count
                usage.evictions += table.evictions
                usage.bytes += table.bytes
            }
        }
        return usage
    }

    private func takeOne(_ limit: inout RateLimit, now: UInt64) -> Bool {
        shard(of: limit.key).table.withLock { table in
            let now = table.latest(now)
            let passes = check(&limit, in: &table, now: now)
            if passes { charge(&limit, in: &table, now: now) } else { limit.settle() }
            table.sweep(now: now)
            return passes
        }
    }

    /// Locks the shard at `index`, and recursively all later ones. The innermost call knows whether all limits pass.
    /// Each level then charges its own limits before it returns, while all locks are still held.
    private func takeAll(_ batch: inout RateLimitBatch, shard index: Int, passes: Bool, now: UInt64) -> Bool {
        shards[index].table.withLock { table in
            var passes = passes
            let given = now
            let now = table.latest(given)
            for position in batch.limits.indices where isDue(batch.limits[position], in: index) {
                if !check(&batch.limits[position], in: &table, now: now) { passes = false }
            }
            let next = nextShard(in: batch, from: index + 1)
            if next < shards.count { passes = takeAll(&batch, shard: next, passes: passes, now: given) }
            for position in batch.limits.indices where isDue(batch.limits[position], in: index) {
                if passes {
                    charge(&batch.limits[position], in: &table, now: now)
                } else {
                    batch.limits[position].settle()
                }
            }
            table.sweep(now: now)
            return passes
        }
    }

    /// Whether the limit admits the request. All refusals are found, not only the first, because `Retry-After` needs
    /// the longest.
    private func check(_ limit: inout RateLimit, in table: inout BucketTable, now: UInt64) -> Bool {
        limit.check(arrival: table.arrival(limit.key), now: now)
        guard limit.isEnforced else { return true }
        if !limit.isExceeded, !table.canStore(limit.key, now: now) {
            limit.refusedForRoom()
        }
        return !limit.isExceeded
    }

    private func charge(_ limit: inout RateLimit, in table: inout BucketTable, now: UInt64) {
        // For an enforced limit `check` has made room; for an observed one it has not.
        guard !limit.isExceeded, limit.isEnforced || table.canStore(limit.key, now: now) else { return limit.settle() }
        let arrival = limit.charge(arrival: table.arrival(limit.key), now: now)
        table.store(limit.key, arrival: arrival, tolerance: limit.tolerance, now: now)
    }

    private func isDue(_ limit: RateLimit, in shard: Int) -> Bool { limit.isDue && shardIndex(of: limit.key) == shard }

    private func shardIndex(of key: BucketKey) -> Int {
        Int(truncatingIfNeeded: key.high) & (shards.count - 1)
    }

    private func shard(of key: BucketKey) -> Shard {
        shards[shardIndex(of: key)]
    }

    private func nextShard(in batch: RateLimitBatch, from first: Int) -> Int {
        var next = shards.count
        for limit in batch.limits where limit.isDue {
            let index = shardIndex(of: limit.key)
            if index >= first, index < next { next = index }
        }
        return next
    }
}
