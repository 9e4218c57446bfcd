import Policy

/// The policies of the simulation, as far as they matter to admission. A reload takes the next ones.
struct SimulatedPolicies {
    let matrix: ConcurrencyMatrix
    let resendWindow: Duration?

    /// The shortest settle time of all policies, in milliseconds. Work that goes on for longer after CANCELLED is beyond any promise.
    static let shortestSettle = 3000
    /// The longest one, with that of kinds which the policies do not have.
    static let longestSettle = 15_000

    /// The names of the kinds, and which of them each one excludes. The positions differ from policy to policy.
    static func all(settles: Bool = true) -> [SimulatedPolicies] {
        [
            SimulatedPolicies(
                [
                    ("sync", 4, ["sync", "refresh"]), ("refresh", 4, ["sync", "refresh"]), ("export", 3, []),
                    ("state", 0, ["sync"]),
                ],
                resendWindow: .seconds(600), settles),
            SimulatedPolicies(
                [
                    ("state", 0, ["state"]), ("export", 3, ["export", "sync"]), ("refresh", 3, ["sync", "refresh"]),
                    ("sync", 3, ["sync"]),
                ],
                resendWindow: .seconds(5), settles),
            SimulatedPolicies(
                [("refresh", 8, ["sync", "refresh"]), ("sync", 8, ["sync"]), ("state", 0, ["sync", "state"])],
                resendWindow: nil, settles),
        ]
    }

    private init(_ kinds: [(name: String, settle: Int, excludes: [String])], resendWindow: Duration?, _ settles: Bool) {
        matrix = ConcurrencyMatrix(
            kinds: kinds.enumerated().map { index, kind in
                LeaseKind(
                    index: index, name: kind.name, lifetime: kind.name == "state" ? .request : .job,
                    settleTime: settles ? .seconds(kind.settle) : .zero)
            },
            conflicts: kinds.map { kind in kinds.indices.filter { kind.excludes.contains(kinds[$0].name) } })
        self.resendWindow = resendWindow
    }
}
