import Policy
import Synchronization
import Testing
import Transport

@testable import Gateway

private let second: UInt64 = 1_000_000_000

@Suite("Exact rates")
struct ExactRateTests {
    private static func limit(
        _ limiter: RateLimiter, _ count: UInt64, per period: UInt64, burst: UInt64, cost: UInt64 = 1
    )
        -> RateLimit
    {
        var hasher = limiter.keyHasher
        hasher.combine("a")
        return RateLimit(
            key: hasher.finish(), count: count, period: period, burst: burst, cost: cost, highestCost: cost)
    }

    @Test(
        "Exact rates: a busy client gets its rate over 1,000,000 units, to the unit, also where a unit is no whole nanosecond",
        arguments: [
            (7, 60, 3), (5, 180, 5), (1, 90, 1), (997, 60, 10), (999_999_937, 86_400, 100),
        ] as [(UInt64, UInt64, UInt64)])
    func drift(count: UInt64, seconds: UInt64, burst: UInt64) {
        let limiter = RateLimiter(shardCount: 1)
        var batch = RateLimitBatch()
        batch.append(Self.limit(limiter, count, per: seconds * second, burst: burst))
        let start = 1_000 * second
        var now = start
        var admitted: UInt64 = 0
        while admitted < 1_000_000 {
            if limiter.take(&batch, now: now) { admitted += 1 } else { now += batch.limits[0].retryAfter }
        }
        // A bucket of one unit, which the clock would find full a part of a nanosecond late, is not among the arguments.
        // The last unit is there as soon as so many have returned since the start, and not a nanosecond earlier.
        let returned = UInt128(admitted - burst) * UInt128(seconds * second)
        let exact = (returned + UInt128(count) - 1) / UInt128(count)
        #expect(UInt128(now - start) == exact)
    }

    @Test("Exact rates: requests at random times agree with a count in whole parts of a nanosecond")
    func model() {
        var random = FastRandom()
        for (count, seconds, burst) in [(7, 60, 4), (13, 1, 13), (997, 60, 30)] as [(UInt64, UInt64, UInt64)] {
            let limiter = RateLimiter(shardCount: 1)
            let limits = (1...3 as ClosedRange<UInt64>).map {
                Self.limit(limiter, count, per: seconds * second, burst: burst, cost: $0)
            }
            let capacity = Int128(burst) * Int128(seconds * second)
            // Credit in parts: `count` of them return in each nanosecond.
            var credit = capacity
            var now = 1_000 * second
            let mean = seconds * second / count
            var batch = RateLimitBatch()
            var wrong = 0
            for _ in 0..<100_000 {
                let step = UInt64.random(in: 0...(3 * mean), using: &random)
                now += step
                credit = min(capacity, credit + Int128(step) * Int128(count))
                let cost = Int.random(in: 1...3, using: &random)
                batch.removeAll()
                batch.append(limits[cost - 1])
                let price = Int128(cost) * Int128(seconds * second)
                let expected = credit >= price
                if limiter.take(&batch, now: now) != expected { wrong += 1 }
                if expected { credit -= price }
                if Int128(batch.limits[0].remaining) != credit / Int128(seconds * second) { wrong += 1 }
            }
            #expect(wrong == 0)
        }
    }

    @Test("Exact rates: a refund returns what the request cost, to the part of a nanosecond")
    func refund() {
        let limiter = RateLimiter(shardCount: 1)
        var batch = RateLimitBatch()
        batch.append(Self.limit(limiter, 7, per: 60 * second, burst: 7, cost: 3))
        let start = 1_000 * second
        for _ in 0..<1000 {
            #expect(limiter.take(&batch, now: start))
            #expect(limiter.take(&batch, now: start))
            #expect(!limiter.take(&batch, now: start))
            for _ in 0..<2 {
                batch.limits[0].isCharged = true
                limiter.refund(&batch, now: start)
            }
            #expect(batch.limits[0].remaining == 7)
        }
        #expect(limiter.usage().buckets == 0)
    }

    @Test("Exact rates: a request takes what it costs, and waits for all of it")
    func cost() {
        let limiter = RateLimiter()
        var dear = RateLimitBatch()
        dear.append(Self.limit(limiter, 60, per: 60 * second, burst: 10, cost: 4))
        var cheap = RateLimitBatch()
        cheap.append(Self.limit(limiter, 60, per: 60 * second, burst: 10))
        let start = 1_000 * second
        #expect(limiter.take(&dear, now: start) && dear.limits[0].remaining == 6)
        #expect(limiter.take(&cheap, now: start) && cheap.limits[0].remaining == 5)
        #expect(limiter.take(&dear, now: start) && dear.limits[0].remaining == 1)
        #expect(!limiter.take(&dear, now: start))
        #expect(dear.limits[0].remaining == 1 && dear.retryAfterSeconds == 3)
        #expect(RateLimit.wholeSeconds(dear.limits[0].resetAfter) == 3, "t says the same as Retry-After")
        #expect(limiter.take(&cheap, now: start), "what is too little for one request may be enough for another")
        #expect(!limiter.take(&dear, now: start + 4 * second - 1))
        #expect(limiter.take(&dear, now: start + 4 * second))
    }

    @Test("Exact rates: threads that want several limits at once get exactly what each allows, round after round")
    func threads() {
        for round in 0..<60 as Range<UInt64> {
            let limiter = RateLimiter(shardCount: 16)
            func limit(_ name: String, _ burst: UInt64, cost: UInt64 = 1) -> RateLimit {
                var hasher = limiter.keyHasher
                hasher.combine(name)
                return RateLimit(
                    key: hasher.finish(), count: 1, period: 86_400 * second, burst: burst, cost: cost,
                    highestCost: cost)
            }
            // The third limit is the tightest: 301 units, of which each request takes 3.
            let limits = [limit("a", 500), limit("b", 200 + round % 7, cost: 1), limit("c", 301, cost: 3)]
            let counts = ThreadCounts()
            let threads = (0..<8).map { number in
                WorkThread(name: "limit") {
                    var admitted = 0
                    for attempt in 0..<40 {
                        var batch = RateLimitBatch()
                        // In each order, so that an order of locks that follows the batch would deadlock.
                        for offset in limits.indices { batch.append(limits[(offset + number + attempt) % 3]) }
                        if limiter.take(&batch, now: 1_000 * second) { admitted += 1 }
                    }
                    counts.add(admitted)
                }
            }
            for thread in threads { thread.join() }
            #expect(counts.total == 100)
            for (limit, left) in zip(limits, [400, 100 + round % 7, 1]) {
                var batch = RateLimitBatch()
                batch.append(limit)
                _ = limiter.peek(&batch, now: 1_000 * second)
                #expect(batch.limits[0].remaining == left, "what was refused is not charged")
            }
        }
    }

    @Test("Exact rates: a bucket takes 32 bytes of table, and 1,000,000 of them the documented 64 MiB")
    func memory() {
        #expect(BucketTable.slotBytes == 32)
        let limiter = RateLimiter()
        var batch = RateLimitBatch()
        for index in 0..<1_000_000 as Range<UInt64> {
            var hasher = limiter.keyHasher
            hasher.combine(index)
            batch.removeAll()
            batch.append(RateLimit(key: hasher.finish(), count: 1, period: 86_400 * second, burst: 1))
            guard limiter.take(&batch, now: 1_000 * second) else {
                Issue.record("key \(index) has no room")
                return
            }
        }
        let usage = limiter.usage()
        #expect(usage.buckets == 1_000_000 && usage.evictions == 0, "no live key is forgotten")
        #expect(usage.bytes == 64 << 20)
    }
}

/// A sum that threads add to.
private final class ThreadCounts: Sendable {
    private let sum = Mutex(0)

    var total: Int { sum.withLock { $0 } }

    func add(_ count: Int) { sum.withLock { $0 += count } }
}
