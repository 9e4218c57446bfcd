/// The limits of one route for one plan and set of overrides.
struct RouteLimits: Sendable {
    let rules: [LimitRule]
    let needsConnection: Bool

    init(rules: [LimitRule]) {
        self.rules = rules
        needsConnection = rules.contains { $0.per.contains(.connection) }
    }
}

/// The limits of every route for one plan and set of overrides; organizations with the same limits share it.
final class LimitProfile: Sendable {
    /// By the index of the route.
    let byRoute: [RouteLimits]

    init(byRoute: [RouteLimits]) { self.byRoute = byRoute }
}
