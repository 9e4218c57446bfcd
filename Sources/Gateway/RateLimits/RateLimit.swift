/// One rate limit as it applies to one request, and what the limiter said about it.
///
/// Times are nanoseconds of a monotonic clock. The limit is a bucket of `burst` units that gains one unit each `interval`.
package struct RateLimit: Sendable {
    package internal(set) var key: BucketKey
    /// Nanoseconds until one unit comes back: the period divided by the count, rounded up so that rounding never admits more.
    package let interval: UInt64
    /// Units the bucket holds when it is full; at least 1.
    package let burst: UInt64
    /// `false`: counted and reported, never a reason to refuse.
    package let isEnforced: Bool
    /// Whether a refund gives the unit back.
    package let isRefundable: Bool
    /// Whether the key is complete only when it is known which connection the request is about.
    let isPerConnection: Bool
    /// The caller's own number for the rule, to find its name again.
    package let tag: Int

    /// Whether the limiter's next step is about this limit.
    var isDue = true
    /// Whether a step has looked at it, so that there is something to tell.
    package internal(set) var isKnown = false

    /// Whether the last ``RateLimiter/take(_:now:)`` or `peek` found too little in the bucket.
    package internal(set) var isExceeded = false
    /// Whether a unit is charged and could be refunded.
    package internal(set) var isCharged = false
    /// Units left after the request.
    package internal(set) var remaining: UInt64 = 0
    /// Nanoseconds until the bucket is full again.
    package internal(set) var fullAfter: UInt64 = 0
    /// Nanoseconds until a refused request could pass this limit; 0 when it was not refused.
    package internal(set) var retryAfter: UInt64 = 0

    /// `count` units per `period` nanoseconds, at most `burst` at once.
    package init(
        key: BucketKey, count: UInt64, period: UInt64, burst: UInt64, isEnforced: Bool = true,
        isRefundable: Bool = true, isPerConnection: Bool = false, tag: Int = 0
    ) {
        self.key = key
        let (quotient, remainder) = period.quotientAndRemainder(dividingBy: max(count, 1))
        // A full bucket is worth at most 2^60 ns (36 years), so no later sum overflows.
        interval = max(1, min(quotient + (remainder == 0 ? 0 : 1), 1 << 60))
        self.burst = max(1, min(burst, (1 << 60) / interval))
        self.isEnforced = isEnforced
        self.isRefundable = isRefundable
        self.isPerConnection = isPerConnection
        self.tag = tag
    }

    /// Whether every attempt counts, whatever is wrong with its body: charged as soon as it is known who calls.
    var isOnAttempts: Bool { !isRefundable && !isPerConnection }

    /// Nanoseconds a full bucket is worth.
    var capacity: UInt64 { interval * burst }

    /// Nanoseconds until the number of units left improves in the way that matters: until there is one again when there is
    /// none, else until the bucket is full.
    package var resetAfter: UInt64 {
        remaining == 0 ? fullAfter + interval - min(capacity, fullAfter + interval) : fullAfter
    }

    /// Whether the client is refused because of this limit.
    package var isRefusing: Bool { isExceeded && isEnforced }

    /// Seconds as clients are told them: rounded up, because coming back a moment early means another refusal.
    package static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
        nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1)
    }
}

/// The limits one request has to pass together. Reuse it: after a few requests it allocates no more.
package struct RateLimitBatch: Sendable {
    package internal(set) var limits: [RateLimit] = []
    /// When the limits were charged, which bounds what a refund may give back.
    var takenAt: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { limits.isEmpty }

    package mutating func removeAll() {
        limits.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ limit: RateLimit) {
        limits.append(limit)
    }

    /// The steps of a request: the limits on attempts, a look at the others as far as they can be judged without the
    /// connection, and then those others. Each limit is charged in one step only. Returns `false` if a step has no limit.
    mutating func beginAttempt() -> Bool { choose { $0.isOnAttempts } }
    mutating func beginLook() -> Bool { choose { !$0.isOnAttempts && !$0.isPerConnection } }
    mutating func beginWork() -> Bool { choose { !$0.isOnAttempts } }

    private mutating func choose(_ isDue: (RateLimit) -> Bool) -> Bool {
        var any = false
        for index in limits.indices {
            limits[index].isDue = isDue(limits[index])
            any = any || limits[index].isDue
        }
        return any
    }

    /// The refusing limit that asks for the longest wait: waiting that long satisfies all of them.
    package var refusing: RateLimit? {
        var worst: Int?
        for index in limits.indices where limits[index].isRefusing {
            if let other = worst, limits[other].retryAfter > limits[index].retryAfter { continue }
            worst = index
        }
        return worst.map { limits[$0] }
    }

    /// The enforced limit a client will meet first: the refusing one, else the one with the fewest units left, and of
    /// those the one that takes longest to recover.
    package var tightest: RateLimit? {
        if let refusing { return refusing }
        var tightest: Int?
        for index in limits.indices where limits[index].isEnforced && limits[index].isKnown {
            if let other = tightest {
                let (one, two) = (limits[index].remaining, limits[other].remaining)
                if one > two || one == two && limits[index].fullAfter <= limits[other].fullAfter { continue }
            }
            tightest = index
        }
        return tightest.map { limits[$0] }
    }

    /// The `Retry-After` of a refusal: the smallest whole number of seconds after which the same request passes, at least 1.
    package var retryAfterSeconds: UInt64 {
        max(1, RateLimit.wholeSeconds(refusing?.retryAfter ?? 0))
    }
}
