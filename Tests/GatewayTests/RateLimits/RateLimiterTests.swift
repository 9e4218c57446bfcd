import Policy
import Synchronization
import Testing

@testable import Gateway

private let second: UInt64 = 1_000_000_000
private let start: UInt64 = 1_000 * second

extension RateLimiter {
    fileprivate func key(_ parts: String...) -> BucketKey {
        var hasher = keyHasher
        for part in parts { hasher.combine(part) }
        return hasher.finish()
    }

    fileprivate func batch(_ limits: RateLimit...) -> RateLimitBatch {
        var batch = RateLimitBatch()
        for limit in limits { batch.append(limit) }
        return batch
    }
}

@Suite("Rate limiter")
struct RateLimiterTests {
    @Test(
        "RateLimiter: attempts are charged first and once, whatever the other limits do; limits that were not checked are not reported"
    )
    func steps() {
        let limiter = RateLimiter()
        let attempts = RateLimit(
            key: limiter.key("attempts"), count: 1, period: 60 * second, burst: 3, isRefundable: false, tag: 0)
        let work = RateLimit(key: limiter.key("work"), count: 1, period: 60 * second, burst: 1, tag: 1)
        let perConnection = RateLimit(
            key: limiter.key("connection"), count: 1, period: 60 * second, burst: 1, isPerConnection: true, tag: 2)
        var first = limiter.batch(attempts, work, perConnection)
        #expect(first.beginAttempt() && limiter.take(&first, now: start))
        #expect(first.limits.map(\.isKnown) == [true, false, false] && first.tightest?.tag == 0)
        #expect(first.beginLook() && limiter.peek(&first, now: start))
        #expect(first.limits.map(\.isCharged) == [true, false, false])
        #expect(first.beginWork() && limiter.take(&first, now: start))
        #expect(first.limits.map(\.isCharged) == [true, true, true])
        #expect(first.limits.map(\.remaining) == [2, 0, 0])

        var second = limiter.batch(attempts, work, perConnection)
        #expect(second.beginAttempt() && limiter.take(&second, now: start))
        #expect(second.beginLook() && !limiter.peek(&second, now: start))
        #expect(second.refusing?.tag == 1 && second.limits[0].remaining == 1)

        limiter.refund(&first, now: start)
        var third = limiter.batch(attempts, work, perConnection)
        #expect(third.beginAttempt() && limiter.take(&third, now: start))
        #expect(third.beginWork() && limiter.take(&third, now: start))
        #expect(third.limits.map(\.remaining) == [0, 0, 0], "work was given back, attempts were not")
        var fourth = limiter.batch(attempts, work, perConnection)
        #expect(fourth.beginAttempt() && !limiter.take(&fourth, now: start))
        #expect(fourth.refusing?.tag == 0)
    }

    @Test(
        "RateLimiter: a worker whose cached clock is behind those of others gets what they leave, not less",
        arguments: [1, 2])
    func clocksBehind(limits: Int) {
        let limiter = RateLimiter()
        let all = (0..<limits).map {
            RateLimit(key: limiter.key("\($0)"), count: 7, period: 86_400 * second, burst: 7, tag: $0)
        }
        let admitted = (0..<20).count { turn in
            var batch = RateLimitBatch()
            for limit in all { batch.append(limit) }
            return limiter.take(&batch, now: start - UInt64(turn % 3) * 1000)
        }
        #expect(admitted == 7)
    }

    @Test("RateLimiter: a full bucket admits its burst at once and one unit per interval after")
    func burstThenRate() {
        let limiter = RateLimiter()
        let limit = RateLimit(key: limiter.key("a"), count: 6, period: 60 * second, burst: 3)
        var batch = limiter.batch(limit)
        for left in [2, 1, 0] as [UInt64] {
            #expect(limiter.take(&batch, now: start))
            #expect(batch.limits[0].remaining == left)
        }
        #expect(!limiter.take(&batch, now: start))
        #expect(batch.retryAfterSeconds == 10)
        #expect(!limiter.take(&batch, now: start + 10 * second - 1))
        #expect(batch.retryAfterSeconds == 1)
        #expect(limiter.take(&batch, now: start + 10 * second))
        #expect(!limiter.take(&batch, now: start + 10 * second))
    }

    @Test(
        "RateLimiter: Retry-After is the smallest honest number of seconds",
        arguments: [1, 7, 13, 60, 600, 1000] as [UInt64])
    func retryAfterIsTrue(count: UInt64) {
        for trial in 0..<50 as Range<UInt64> {
            let limiter = RateLimiter(shardCount: 1)
            let limit = RateLimit(key: limiter.key("a"), count: count, period: 60 * second, burst: 1 + trial % 4)
            var batch = limiter.batch(limit)
            var now = start
            while limiter.take(&batch, now: now) { now += trial * 100_000 }
            let seconds = batch.retryAfterSeconds
            #expect(seconds >= 1)
            if seconds > 1 {
                #expect(!limiter.peek(&batch, now: now + (seconds - 1) * second))
            }
            #expect(limiter.take(&batch, now: now + seconds * second))
        }
    }

    @Test("RateLimiter: nothing is charged when one limit of several refuses")
    func allOrNothing() {
        let limiter = RateLimiter()
        let tight = RateLimit(key: limiter.key("tight"), count: 1, period: 60 * second, burst: 1, tag: 7)
        let wide = RateLimit(key: limiter.key("wide"), count: 100, period: 60 * second, burst: 100)
        var both = limiter.batch(wide, tight)
        #expect(limiter.take(&both, now: start))
        #expect(both.limits[0].remaining == 99)
        for _ in 0..<10 { #expect(!limiter.take(&both, now: start)) }
        #expect(both.refusing?.tag == 7)
        var alone = limiter.batch(wide)
        #expect(limiter.peek(&alone, now: start))
        #expect(alone.limits[0].remaining == 99)
    }

    @Test("RateLimiter: the reported wait is the longest of all refusing limits")
    func maxWait() {
        let limiter = RateLimiter()
        let short = RateLimit(key: limiter.key("short"), count: 60, period: 60 * second, burst: 1)
        let long = RateLimit(key: limiter.key("long"), count: 2, period: 60 * second, burst: 1)
        var batch = limiter.batch(short, long)
        #expect(limiter.take(&batch, now: start))
        #expect(!limiter.take(&batch, now: start))
        #expect(batch.retryAfterSeconds == 30)
    }

    @Test("RateLimiter: an observed limit counts and never refuses")
    func observed() {
        let limiter = RateLimiter()
        let limit = RateLimit(key: limiter.key("a"), count: 2, period: 60 * second, burst: 2, isEnforced: false)
        var batch = limiter.batch(limit)
        #expect(limiter.take(&batch, now: start))
        #expect(limiter.take(&batch, now: start))
        #expect(!batch.limits[0].isExceeded)
        #expect(limiter.take(&batch, now: start))
        #expect(batch.limits[0].isExceeded)
        #expect(batch.refusing == nil)
        #expect(batch.tightest == nil)
    }

    @Test("RateLimiter: a refund gives the unit back, once")
    func refund() {
        let limiter = RateLimiter()
        let limit = RateLimit(key: limiter.key("a"), count: 6, period: 60 * second, burst: 2)
        var batch = limiter.batch(limit)
        for _ in 0..<100 {
            #expect(limiter.take(&batch, now: start))
            limiter.refund(&batch, now: start)
            limiter.refund(&batch, now: start)
            #expect(batch.limits[0].remaining == 2)
        }
        #expect(limiter.usage().buckets == 0)
    }

    @Test("RateLimiter: refunds never admit more kept requests than the limit allows in any window")
    func refundModel() {
        var random = FastRandom()
        for _ in 0..<200 {
            let limiter = RateLimiter(shardCount: 1)
            let burst = UInt64.random(in: 1...4, using: &random)
            let limit = RateLimit(key: limiter.key("a"), count: 10, period: 10 * second, burst: burst)
            var now = start
            var kept: [UInt64] = []
            var pending: [(at: UInt64, batch: RateLimitBatch)] = []
            for _ in 0..<200 {
                now += UInt64.random(in: 0...(second / 2), using: &random)
                if Bool.random(using: &random), !pending.isEmpty {
                    var (at, batch) = pending.remove(at: Int.random(in: pending.indices, using: &random))
                    if Bool.random(using: &random) { limiter.refund(&batch, now: now) } else { kept.append(at) }
                } else {
                    var batch = limiter.batch(limit)
                    if limiter.take(&batch, now: now) { pending.append((now, batch)) }
                }
            }
            kept.append(contentsOf: pending.map(\.at))
            kept.sort()
            for first in kept.indices {
                for last in first..<kept.count {
                    let window = kept[last] - kept[first]
                    #expect(UInt64(last - first + 1) <= burst + window / second)
                }
            }
        }
    }

    @Test("RateLimiter: the limiter agrees with a bucket counted by hand")
    func model() {
        var random = FastRandom()
        for _ in 0..<100 {
            let limiter = RateLimiter(shardCount: 4)
            let rules = (0..<3).map { index in
                RateLimit(
                    key: limiter.key("rule\(index)"),
                    count: [1, 2, 4, 5, 8, 10, 16, 20].randomElement(using: &random) ?? 1,
                    period: 20 * second, burst: UInt64.random(in: 1...5, using: &random))
            }
            // Nanoseconds of credit in each bucket.
            var credit = rules.map(\.capacity.ceiling)
            var now = start
            for _ in 0..<300 {
                let step = UInt64.random(in: 0...second, using: &random)
                now += step
                for index in credit.indices { credit[index] = min(rules[index].capacity.ceiling, credit[index] + step) }
                let chosen = (0..<3).filter { _ in Bool.random(using: &random) }
                var batch = RateLimitBatch()
                for index in chosen { batch.append(rules[index]) }
                let expected = chosen.allSatisfy { credit[$0] >= rules[$0].unit.ceiling }
                #expect(limiter.take(&batch, now: now) == expected)
                for (position, index) in chosen.enumerated() {
                    if expected { credit[index] -= rules[index].unit.ceiling }
                    #expect(batch.limits[position].remaining == credit[index] / rules[index].unit.ceiling)
                }
            }
        }
    }

    @Test(
        "RateLimiter: parallel requests against one limit are admitted exactly as often as it allows",
        arguments: [1, 2, 8])
    func parallelExactness(threads: Int) async {
        let limiter = RateLimiter()
        let limit = RateLimit(key: limiter.key("a"), count: 1000, period: 3600 * second, burst: 1000)
        let admitted = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<threads {
                group.addTask {
                    var batch = limiter.batch(limit)
                    return (0..<2000).count { _ in limiter.take(&batch, now: start) }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(admitted == 1000)
    }

    @Test("RateLimiter: parallel requests over several limits in different shards charge all or none")
    func parallelAllOrNothing() async {
        let limiter = RateLimiter(shardCount: 8)
        let shared = RateLimit(key: limiter.key("shared"), count: 500, period: 3600 * second, burst: 500)
        let own = (0..<4).map { index in
            RateLimit(key: limiter.key("own", "\(index)"), count: 200, period: 3600 * second, burst: 200)
        }
        let admitted = await withTaskGroup(of: [Int].self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var counts = [0, 0, 0, 0]
                    for round in 0..<2000 {
                        let which = (worker + round) % 4
                        // Both orders, so that a lock order taken from the batch would deadlock.
                        var batch =
                            round % 2 == 0 ? limiter.batch(shared, own[which]) : limiter.batch(own[which], shared)
                        if limiter.take(&batch, now: start) { counts[which] += 1 }
                    }
                    return counts
                }
            }
            return await group.reduce([0, 0, 0, 0]) { sums, counts in zip(sums, counts).map { $0 + $1 } }
        }
        #expect(admitted.reduce(0, +) == 500)
        for (index, count) in admitted.enumerated() {
            #expect(count <= 200)
            var probe = limiter.batch(own[index])
            _ = limiter.peek(&probe, now: start)
            #expect(probe.limits[0].remaining == 200 - UInt64(count))
        }
    }

    @Test("RateLimiter: parallel takes and refunds leave exactly what was kept")
    func parallelRefunds() async {
        let limiter = RateLimiter()
        let limit = RateLimit(key: limiter.key("a"), count: 1_000_000, period: 3600 * second, burst: 1_000_000)
        let kept = await withTaskGroup(of: Int.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var kept = 0
                    for round in 0..<5000 {
                        var batch = limiter.batch(limit)
                        guard limiter.take(&batch, now: start) else { continue }
                        if (round + worker) % 3 == 0 { limiter.refund(&batch, now: start) } else { kept += 1 }
                    }
                    return kept
                }
            }
            return await group.reduce(0, +)
        }
        var probe = limiter.batch(limit)
        #expect(limiter.peek(&probe, now: start))
        #expect(probe.limits[0].remaining == 1_000_000 - UInt64(kept))
    }

    @Test("RateLimiter: buckets that are full again are swept as the table is used")
    func sweep() {
        let limiter = RateLimiter(shardCount: 1)
        var batch = RateLimitBatch()
        for index in 0..<1000 {
            batch.removeAll()
            batch.append(RateLimit(key: limiter.key("\(index)"), count: 1, period: second, burst: 1))
            #expect(limiter.take(&batch, now: start))
        }
        #expect(limiter.usage().buckets == 1000)
        for round in 0..<2000 as Range<UInt64> {
            batch.removeAll()
            batch.append(RateLimit(key: limiter.key("busy"), count: 1, period: second, burst: 1))
            _ = limiter.take(&batch, now: start + 10 * second + round)
        }
        #expect(limiter.usage().buckets == 1)
    }

    @Test("RateLimiter: a throttled bucket outlives a flood of others, and memory stays at the cap")
    func flood() {
        let limiter = RateLimiter(maximumBuckets: 256, shardCount: 1)
        var throttled = limiter.batch(RateLimit(key: limiter.key("x"), count: 1, period: 3600 * second, burst: 1))
        #expect(limiter.take(&throttled, now: start))
        for index in 0..<10_000 {
            var batch = limiter.batch(
                RateLimit(key: limiter.key("\(index)"), count: 10, period: 3600 * second, burst: 10))
            #expect(limiter.take(&batch, now: start))
        }
        #expect(!limiter.take(&throttled, now: start))
        #expect(limiter.usage().buckets == 256)
        #expect(limiter.usage().evictions > 9000)
    }

    @Test("RateLimiter: when every bucket refuses, a new one is refused rather than let through uncounted")
    func fullOfThrottled() {
        let limiter = RateLimiter(maximumBuckets: 64, shardCount: 1)
        for index in 0..<64 {
            var batch = limiter.batch(RateLimit(key: limiter.key("\(index)"), count: 1, period: 60 * second, burst: 1))
            #expect(limiter.take(&batch, now: start))
        }
        var batch = limiter.batch(RateLimit(key: limiter.key("new"), count: 1, period: 60 * second, burst: 1))
        #expect(!limiter.take(&batch, now: start))
        #expect(batch.retryAfterSeconds >= 1)
        #expect(limiter.take(&batch, now: start + 61 * second))
    }

    @Test("RateLimiter: the table of buckets behaves like a dictionary")
    func tableModel() {
        var random = FastRandom()
        var table = BucketTable(maximumCount: 4096)
        var model: [BucketKey: UInt64] = [:]
        var now = start
        for _ in 0..<50_000 {
            // Few home slots, so that chains collide and wrap.
            let key = BucketKey(high: .random(in: 0..<64, using: &random), low: .random(in: 0..<16, using: &random))
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let found = table.arrival(key).ceiling
                #expect(found == 0 || found == model[key])
                if let arrival = model[key], arrival > now { #expect(found == arrival) }
            case 1: table.sweep(now: now)
            case 2: now += 1
            default:
                let arrival = now + .random(in: 0..<400, using: &random)
                table.store(key, arrival: ExactNanoseconds(ceiling: arrival), tolerance: 0, now: now)
                model[key] = arrival > now ? arrival : nil
            }
        }
        for (key, arrival) in model where arrival > now { #expect(table.arrival(key).ceiling == arrival) }
    }

    @Test("RateLimiter: keys of different parts differ, and equal parts agree")
    func keys() {
        let limiter = RateLimiter()
        var seen: Set<BucketKey> = []
        let parts = ["", "a", "ab", "abc", "abcdefg", "abcdefgh", "abcdefghi", "abcdefgh\0"]
        for first in parts {
            for second in parts {
                seen.insert(limiter.key(first, second))
                var hasher = limiter.keyHasher
                let bytes = Array(second.utf8)
                hasher.combine(first)
                hasher.combine(bytes.span)
                #expect(hasher.finish() == limiter.key(first, second))
            }
        }
        #expect(seen.count == parts.count * parts.count)
        #expect(RateLimiter().key("a") != limiter.key("a"))
    }

    @Test("RateLimiter: every bit of a part changes about half of the key")
    func avalanche() {
        var hasher = BucketKeyHasher(key: (1, 2))
        hasher.combine(UInt64(0))
        let zero = hasher.finish()
        for bit in 0..<64 as Range<UInt64> {
            var other = BucketKeyHasher(key: (1, 2))
            other.combine(1 << bit)
            let key = other.finish()
            let flipped = (key.high ^ zero.high).nonzeroBitCount + (key.low ^ zero.low).nonzeroBitCount
            #expect((35...93).contains(flipped))
        }
    }
}
