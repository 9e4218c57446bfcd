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

/// A number for a name in the policy, the same in each set of this process. It is made with a seed that is the process's own:
/// nobody can look for a name with the number of another one.
package func processKey(of name: String) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(name)
    return UInt64(bitPattern: Int64(hasher.finalize()))
}

/// What the buckets of a limit are counted by.
package struct LimitDimensions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let organization = LimitDimensions(rawValue: 1)
    package static let connection = LimitDimensions(rawValue: 2)
    package static let token = LimitDimensions(rawValue: 4)
    /// Each route by itself.
    package static let operation = LimitDimensions(rawValue: 8)

    /// The same as the protocol's, which would be asked by way of its witnesses.
    package func contains(_ member: LimitDimensions) -> Bool { rawValue & member.rawValue == member.rawValue }
}

/// The limits of one route for one plan and set of overrides.
struct RouteLimits: Sendable {
    let rules: [LimitRule]
    let needConnection: Bool

    init(rules: [LimitRule]) {
        self.rules = rules
        needConnection = rules.contains { $0.per.contains(.connection) }
    }
}

/// The limits of every route for one plan and set of overrides, shared by all organizations that have the same.
final class LimitProfile: Sendable {
    /// By the index of the route.
    let byRoute: [RouteLimits]

    init(byRoute: [RouteLimits]) { self.byRoute = byRoute }
}
