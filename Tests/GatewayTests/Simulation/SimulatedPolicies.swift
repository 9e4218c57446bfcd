import Policy

/// The policies of the simulation, as far as they matter to admission. A reload takes the next ones.
struct SimulatedPolicies {
    let matrix: ConcurrencyMatrix
    let resendWindow: Duration?
    let caps: [JobCap]
    /// How long the record of an idempotency key is kept, in seconds.
    let keepSeconds: Int

    /// The shortest settle time of all policies, in milliseconds. Work that goes on for longer after CANCELLED is beyond any promise.
    static let shortestSettle = 3000
    /// The longest one, with that of kinds which the policies do not have.
    static let longestSettle = 15_000
    /// The longest time for which a record is kept.
    static let longestKeepSeconds = 86_400

    /// What the policies of one world have in common.
    struct World {
        /// Whether the upstream runs jobs of some kinds side by side.
        var hasParallelKinds = true
        var settles = true
    }

    /// The names of the kinds, and which of them each one excludes. The positions differ from policy to policy.
    static func all(_ world: World) -> [SimulatedPolicies] {
        [
            SimulatedPolicies(
                [
                    ("sync", 4, ["sync", "refresh"]), ("refresh", 4, ["sync", "refresh"]), ("export", 3, []),
                    ("state", 0, ["sync"]),
                ],
                resendWindow: .seconds(600), caps: [cap(.organization, 3), cap(.token, 2)], keepSeconds: 86_400, world),
            SimulatedPolicies(
                [
                    ("state", 0, ["state"]), ("export", 3, ["export", "sync"]), ("refresh", 3, ["sync", "refresh"]),
                    ("sync", 3, ["sync"]),
                ],
                resendWindow: .seconds(5), caps: [cap(.organization, 2)], keepSeconds: 20, world),
            SimulatedPolicies(
                [("refresh", 8, ["sync", "refresh"]), ("sync", 8, ["sync"]), ("state", 0, ["sync", "state"])],
                resendWindow: nil, caps: [], keepSeconds: 86_400, world),
        ]
    }

    private static func cap(_ scope: JobCap.Scope, _ max: Int) -> JobCap {
        JobCap(name: "\(scope.rawValue) \(max)", scope: scope, max: max)
    }

    private init(
        _ kinds: [(name: String, settle: Int, excludes: [String])], resendWindow: Duration?, caps: [JobCap],
        keepSeconds: Int, _ world: World
    ) {
        let kinds = kinds.filter { world.hasParallelKinds || $0.name != "export" }
        matrix = ConcurrencyMatrix(
            kinds: kinds.enumerated().map { index, kind in
                LeaseKind(
                    index: index, name: kind.name, lifetime: kind.name == "state" ? .request : .job,
                    settleTime: world.settles ? .seconds(kind.settle) : .zero)
            },
            conflicts: kinds.map { kind in kinds.indices.filter { kind.excludes.contains(kinds[$0].name) } })
        self.resendWindow = resendWindow
        self.caps = caps
        self.keepSeconds = keepSeconds
    }
}
