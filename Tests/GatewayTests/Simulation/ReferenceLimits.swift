@testable import Gateway

/// The limits as a person would count them: buckets whose level rises with time. The exact reference for ``RateLimiter``.
struct ReferenceLimits {
    struct Rule {
        let name: String
        let period: UInt64
        let burst: UInt64
    }

    private struct Bucket {
        var level: UInt64
        var time: UInt64

        /// The level is in nanoseconds of refilling, so it needs no fractions.
        mutating func refill(_ rule: Rule, at now: UInt64) {
            level = min(rule.period * rule.burst, level + now - min(now, time))
            time = max(time, now)
        }
    }

    private var buckets: [String: Bucket] = [:]
    /// The limiter's time does not go back.
    private var latest: UInt64 = 0

    private mutating func bucket(_ rule: Rule, at now: UInt64) -> Bucket {
        var bucket = buckets[rule.name] ?? Bucket(level: rule.period * rule.burst, time: now)
        bucket.refill(rule, at: now)
        return bucket
    }

    /// Takes one unit of each limit, or none.
    mutating func take(_ rules: [Rule], now: UInt64) -> Bool {
        latest = max(latest, now)
        let found = rules.map { (rule: $0, bucket: bucket($0, at: latest)) }
        guard found.allSatisfy({ $0.bucket.level >= $0.rule.period }) else { return false }
        for (rule, bucket) in found {
            buckets[rule.name] = Bucket(level: bucket.level - rule.period, time: bucket.time)
        }
        return true
    }

    /// Gives back what was taken at `takenAt`. What the bucket would have gained since then anyway is not given back again.
    mutating func refund(_ rules: [Rule], takenAt: UInt64, now: UInt64) {
        for rule in rules {
            var bucket = bucket(rule, at: now)
            let elapsed = now - min(now, takenAt)
            bucket.level = min(rule.period * rule.burst, bucket.level + rule.period - min(rule.period, elapsed))
            buckets[rule.name] = bucket
        }
    }

    /// The units that are left now.
    mutating func remaining(_ rule: Rule) -> UInt64 { bucket(rule, at: latest).level / rule.period }
}
