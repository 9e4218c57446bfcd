/// The maximum number of jobs that run at the same time, on all connections of an organization together.
package struct JobCap: Equatable, Sendable {
    package let name: String
    package let scope: Scope
    package let max: Int

    /// Whose jobs are counted together.
    package enum Scope: String, CaseIterable, Sendable {
        /// All jobs of the organization.
        case organization
        /// The jobs that one token of the organization has started.
        case token
    }

    package init(name: String, scope: Scope, max: Int) {
        self.name = name
        self.scope = scope
        self.max = max
    }
}
