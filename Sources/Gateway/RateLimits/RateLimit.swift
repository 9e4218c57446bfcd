package import Policy

/// One rate limit of one request, with the limiter's result.
///
/// Times are nanoseconds of a monotonic clock. The limit is a bucket that gains units at a constant rate (``LimitPace``).
package struct RateLimit: Sendable {
    package internal(set) var key: BucketKey
    /// Until one unit returns.
    let unit: ExactNanoseconds
    /// Until the units of this request return.
    let charge: ExactNanoseconds
    /// The time that a full bucket represents.
    let capacity: ExactNanoseconds
    /// The parts of a nanosecond in these durations.
    let parts: UInt32
    /// See ``LimitPace/tolerance``.
    let tolerance: UInt32
    /// `false` means that the limit is counted and reported, but never refuses.
    package let isEnforced: Bool
    /// Whether a refund returns the unit.
    package let isRefundable: Bool
    /// Whether the key needs the request's connection.
    let isPerConnection: Bool
    /// The caller's number of the rule.
    package let tag: Int

    /// Whether the limiter's next step includes this limit.
    var isDue = true
    /// Whether a step has checked this limit, so that its result can be reported.
    package internal(set) var isKnown = false

    /// Whether the last ``RateLimiter/take(_:now:)`` or `peek` found too few units in the bucket.
    package internal(set) var isExceeded = false
    /// Whether units are charged that could be refunded.
    package internal(set) var isCharged = false
    /// Until the bucket is full again, after the request.
    var debt = ExactNanoseconds.zero
    /// The units left after the request.
    package internal(set) var remaining: UInt64 = 0
    /// Nanoseconds until a refused request could pass this limit; 0 if it was not refused.
    package internal(set) var retryAfter: UInt64 = 0

    package init(
        key: BucketKey, pace: LimitPace, isEnforced: Bool = true, isRefundable: Bool = true,
        isPerConnection: Bool = false, tag: Int = 0
    ) {
        self.key = key
        unit = pace.unit
        charge = pace.charge
        capacity = pace.capacity
        parts = pace.parts
        tolerance = pace.tolerance
        self.isEnforced = isEnforced
        self.isRefundable = isRefundable
        self.isPerConnection = isPerConnection
        self.tag = tag
    }

    /// Whether the limit counts every attempt, whatever its body. It is charged as soon as the caller is known.
    var isOnAttempts: Bool { !isRefundable && !isPerConnection }

    /// Whether the request is admitted, but at least four fifths of the burst are used.
    package var isNear: Bool { isCharged && fullAfter >= capacity.ceiling / 5 * 4 }

    /// Whether this limit refuses the request.
    package var isRefusing: Bool { isExceeded && isEnforced }

    /// Whole seconds for clients, rounded up: a client that returns too early is refused again.
    package static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 {
        nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1)
    }
}

/// The limits that one request must pass together. Reuse the batch: after a few requests it no longer allocates.
package struct RateLimitBatch: Sendable {
    /// The limits in the order in which they were appended. The limiter writes its results into them.
    package internal(set) var limits: [RateLimit] = []
    /// When the limits were charged. It bounds the amount of a refund.
    var takenAt: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { limits.isEmpty }

    /// The batch, which leaves an empty one behind.
    package mutating func take() -> RateLimitBatch {
        var taken = RateLimitBatch()
        swap(&taken, &self)
        return taken
    }

    /// After a look that refuses nothing: the limits are known, but none is exceeded.
    package mutating func forgetRefusals() {
        for index in limits.indices {
            limits[index].isExceeded = false
            limits[index].retryAfter = 0
        }
    }

    /// Keeps the memory for the limits of the next request.
    package mutating func removeAll() {
        limits.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ limit: RateLimit) {
        limits.append(limit)
    }

    /// Select the limits of a step: those on attempts; then all others that need no connection, for a check; then all
    /// others, for the charge. Each limit is charged in one step only. Each function returns `false` if its step has no
    /// limit.
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

    /// The refusing limit with the longest wait: after that time all of them pass.
    package var refusing: RateLimit? {
        var worst: Int?
        for index in limits.indices where limits[index].isRefusing {
            if let other = worst, limits[other].retryAfter > limits[index].retryAfter { continue }
            worst = index
        }
        return worst.map { limits[$0] }
    }

    /// The enforced limit that a client reaches first: the refusing one, else the one with the fewest units left, and
    /// among those the one with the longest recovery.
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

    /// The `Retry-After` of a refusal: the smallest number of whole seconds after which the same request passes, at
    /// least 1.
    package var retryAfterSeconds: UInt64 {
        max(1, RateLimit.wholeSeconds(refusing?.retryAfter ?? 0))
    }
}
