@testable import Gateway

/// The limits as a person would count them: buckets whose level rises with time. The exact reference for ``RateLimiter``.
struct ReferenceLimits {
    struct Rule {
        let name: String
        /// So many units return in each period of nanoseconds.
        let count: UInt64
        let period: UInt64
        let burst: UInt64
        /// The units that a request takes.
        var cost: UInt64 = 1
        /// Whether it refuses, or is only counted.
        var isEnforced = true

        /// The dearest request of all limits.
        static let highestCost: UInt64 = 2
    }

    /// The level is in parts of which `period` make a unit and `count` return in a nanosecond, so it needs no fractions.
    private struct Bucket {
        var level: UInt64
        var time: UInt64

        init(_ rule: Rule, at now: UInt64) { (level, time) = (rule.period * rule.burst, now) }

        mutating func refill(_ rule: Rule, at now: UInt64) {
            level = min(rule.period * rule.burst, level + rule.count * (now - min(now, time)))
            time = max(time, now)
        }
    }

    private var buckets: [String: Bucket] = [:]
    /// The limiter's time does not go back.
    private var latest: UInt64 = 0

    private func bucket(_ rule: Rule, at now: UInt64) -> Bucket {
        var bucket = buckets[rule.name] ?? Bucket(rule, at: now)
        bucket.refill(rule, at: now)
        return bucket
    }

    /// Takes the units of each limit, or none; a limit that is not enforced takes them if it has them. Returns the limits that were
    /// charged, or `nil` if one refuses.
    mutating func take(_ rules: [Rule], now: UInt64) -> [Rule]? {
        latest = max(latest, now)
        let found = rules.map { (rule: $0, bucket: bucket($0, at: latest)) }
        let passing = found.filter { $0.bucket.level >= $0.rule.period * $0.rule.cost }
        guard found.count(where: \.rule.isEnforced) == passing.count(where: \.rule.isEnforced) else { return nil }
        for (rule, bucket) in passing {
            var bucket = bucket
            bucket.level -= rule.period * rule.cost
            buckets[rule.name] = bucket
        }
        return passing.map(\.rule)
    }

    /// Gives back what was taken at `takenAt`. What the bucket would have gained since then anyway is not given back again.
    ///
    /// `takenAt` is the time of the worker that took it, which may be a little behind that of the bucket.
    mutating func refund(_ rules: [Rule], takenAt: UInt64, now: UInt64) {
        latest = max(latest, now)
        for rule in rules {
            var bucket = bucket(rule, at: now)
            let (taken, gained) = (rule.period * rule.cost, rule.count * (now - min(now, takenAt)))
            bucket.level = min(rule.period * rule.burst, bucket.level + taken - min(taken, gained))
            buckets[rule.name] = bucket
        }
    }

    /// The units that are left now.
    func remaining(_ rule: Rule) -> UInt64 { bucket(rule, at: latest).level / rule.period }
}
