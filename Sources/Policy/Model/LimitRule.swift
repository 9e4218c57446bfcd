/// One rate limit as it applies to one organization: its plan and overrides are worked in.
package final class LimitRule: Sendable {
    package let name: String
    /// The position of the name among all limits of the set, the same for every organization.
    package let index: Int
    /// A number made of the name only, so that counters survive a reload.
    package let key: UInt64
    /// What a bucket is for: one for each combination.
    package let per: LimitDimensions
    /// How many requests fit into `periodSeconds`.
    package let count: Int
    package let periodSeconds: Int
    /// How many requests may come at once after a quiet time, at least 1.
    package let burst: Int
    package let mode: Mode
    package let charge: Charge
    /// `file:line` of the definition.
    package let source: String
    /// The position in ``PolicySet/limitRules``: of one limit there is a rule as it is defined, and one for each way in which a
    /// plan or an override changes it.
    package let position: Int

    /// Whether the limit refuses.
    package enum Mode: Equatable, Sendable {
        case enforce
        /// Counted and logged, never refused.
        case observe
    }

    /// What uses the limit up.
    package enum Charge: Equatable, Sendable {
        /// Work that was begun; the charge is given back when the request is refused later.
        case work
        /// Every call.
        case calls
    }

    package init(
        name: String, index: Int, per: LimitDimensions, count: Int, periodSeconds: Int, burst: Int,
        mode: Mode = .enforce,
        charge: Charge = .work, source: String = "", position: Int = 0
    ) {
        self.name = name
        self.index = index
        self.per = per
        self.count = count
        self.periodSeconds = periodSeconds
        self.burst = burst
        self.mode = mode
        self.charge = charge
        self.source = source
        self.position = position
        key = processKey(of: name)
    }
}
