/// One rate limit for the requests of some routes, with the changes of a plan and of overrides applied.
package final class LimitRule: Sendable {
    package let name: String
    /// The position of the limit in the set, the same for every organization.
    package let index: Int
    /// Derived from the name only, so that counters survive a reload.
    package let key: UInt64
    /// Each combination of these has a bucket.
    package let per: LimitDimensions
    /// How many requests fit into `periodSeconds`.
    package let count: Int
    package let periodSeconds: Int
    /// How many requests may come at once after a quiet time, at least 1.
    package let burst: Int
    package let mode: Mode
    package let charge: Charge
    /// The units that one request takes, at least 1.
    package let cost: Int
    /// The exact durations of `count`, `periodSeconds`, `burst` and `cost`.
    package let pace: LimitPace
    /// `file:line` of the definition.
    package let source: String
    /// The position in ``PolicySet/limitRules``. A limit has one rule as it is defined, and one for each change by a
    /// plan or an override, each mode, and each cost of a route.
    package let position: Int

    /// Whether the limit refuses requests.
    package enum Mode: Equatable, Sendable {
        case enforce
        /// Counted and logged, never refused.
        case observe
    }

    /// The requests that count against the limit.
    package enum Charge: Equatable, Sendable {
        /// Requests that start work; a request that is refused later is refunded.
        case work
        /// Every request.
        case calls
    }

    package init(
        name: String, index: Int, per: LimitDimensions, count: Int, periodSeconds: Int, burst: Int,
        mode: Mode = .enforce, charge: Charge = .work, cost: Int = 1, highestCost: Int = 1, source: String = "",
        position: Int = 0
    ) {
        self.name = name
        self.index = index
        self.per = per
        self.count = count
        self.periodSeconds = periodSeconds
        self.burst = burst
        self.mode = mode
        self.charge = charge
        self.cost = cost
        pace = LimitPace(
            count: UInt64(max(count, 1)), period: UInt64(max(periodSeconds, 1)) * 1_000_000_000,
            burst: UInt64(max(burst, 1)), cost: UInt64(max(cost, 1)), highestCost: UInt64(max(highestCost, 1)))
        self.source = source
        self.position = position
        key = processKey(of: name)
    }
}
