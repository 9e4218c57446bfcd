import Policy

@testable import Gateway

extension RateLimit {
    /// `count` units per `period` nanoseconds, at most `burst` at once.
    init(
        key: BucketKey, count: UInt64, period: UInt64, burst: UInt64, cost: UInt64 = 1, highestCost: UInt64 = 1,
        isEnforced: Bool = true, isRefundable: Bool = true, isPerConnection: Bool = false, tag: Int = 0
    ) {
        self.init(
            key: key,
            pace: LimitPace(count: count, period: period, burst: burst, cost: cost, highestCost: highestCost),
            isEnforced: isEnforced, isRefundable: isRefundable, isPerConnection: isPerConnection, tag: tag)
    }
}
