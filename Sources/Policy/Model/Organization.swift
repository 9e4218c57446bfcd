/// One customer of the API, with connections of its own.
package final class Organization: Sendable, Equatable {
    package let id: String
    /// The name of the plan; `limits` already has its changes.
    package let plan: String?
    /// The limits until each point in time, in order; the last ones have no end.
    let limits: [(until: Int64, profile: LimitProfile)]
    /// The caps of its running jobs.
    package let jobCaps: [JobCap]
    let idBytes: [UInt8]
    /// Derived from `id` only, so that counters survive a reload.
    package let key: UInt64

    init(
        id: String, plan: String?, jobCaps: [JobCap] = [], limits: [(until: Int64, profile: LimitProfile)]
    ) {
        self.id = id
        self.jobCaps = jobCaps
        self.plan = plan
        self.limits = limits
        idBytes = Array(id.utf8)
        key = processKey(of: id)
    }

    package static func == (one: Organization, other: Organization) -> Bool { one === other }

    /// The limits of this organization on `route` at `now`, without overrides that have ended.
    package func limits(on route: Route, now: Int64) -> [LimitRule] {
        routeLimits(on: route, now: now).rules
    }

    func routeLimits(on route: Route, now: Int64) -> RouteLimits {
        for index in limits.indices where now < limits[index].until {
            return limits[index].profile.byRoute[route.index]
        }
        return RouteLimits(rules: [])
    }

    func isNamed(_ name: Span<UInt8>) -> Bool {
        guard name.count == idBytes.count else { return false }
        for index in idBytes.indices where name[index] != idBytes[index] { return false }
        return true
    }
}

extension Organization {
    /// The organization of the demo data. The gateway makes a token for it at its first start.
    package static let demoID = "org_xyz789"
}
