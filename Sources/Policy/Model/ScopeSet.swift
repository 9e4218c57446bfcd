/// A set of the scopes a policy set declares.
package struct ScopeSet: OptionSet, Hashable, Sendable {
    /// A bit for each scope, in the order in which the set declares them.
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
}
