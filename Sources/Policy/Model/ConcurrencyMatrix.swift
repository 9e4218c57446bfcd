/// A kind of operation that may exclude others on the same connection: `sync`, `refresh`, `state`.
package struct LeaseKind: Hashable, Sendable {
    /// The position among the kinds of a policy set; it may differ in another set.
    package let index: Int
    package let name: String
    package let lifetime: Lifetime
    /// How long the connection stays reserved after the end of a job that nobody witnessed: the upstream called the job cancelled,
    /// or no longer showed it.
    package let settleTime: Duration

    /// For a kind that the policies do not have any more.
    package static let defaultSettleTime = Duration.seconds(15)

    /// How long the lease lasts.
    package enum Lifetime: Hashable, Sendable {
        /// Until the job that the request started has ended.
        case job
        /// Until the request is answered.
        case request
    }

    package init(index: Int, name: String, lifetime: Lifetime, settleTime: Duration = .zero) {
        self.index = index
        self.name = name
        self.lifetime = lifetime
        self.settleTime = settleTime
    }

    /// Compares the positions only, so both kinds must be of the same policy set.
    package static func == (one: LeaseKind, other: LeaseKind) -> Bool { one.index == other.index }

    package func hash(into hasher: inout Hasher) { hasher.combine(index) }
}

/// Which kinds of operations exclude each other on one connection.
package struct ConcurrencyMatrix: Sendable {
    /// In the order of their index.
    package let kinds: [LeaseKind]
    /// For each kind, by index: one bit for each kind that it excludes.
    private let conflicts: [UInt64]

    /// The maximum of kinds in a policy set.
    static let capacity = 64

    /// `conflicts[i]` holds the positions in `kinds` of the kinds that `kinds[i]` excludes.
    package init(kinds: [LeaseKind], conflicts: [[Int]]) {
        precondition(
            kinds.count == conflicts.count && kinds.count <= Self.capacity, "one row per kind, at most 64 kinds")
        self.kinds = kinds
        self.conflicts = conflicts.map { row in row.reduce(0) { $0 | 1 << UInt64($1) } }
    }

    /// Whether an operation of `kind` must be refused while one of `running` runs.
    package func conflict(of kind: LeaseKind, with running: LeaseKind) -> Bool {
        conflicts[kind.index] >> UInt64(running.index) & 1 == 1
    }

    /// The kind a policy file calls `name`.
    package func kind(named name: String) -> LeaseKind? {
        kinds.first { $0.name == name }
    }
}
