internal import Synchronization

/// The memory that all request bodies under way may take together: what one client may send is capped by its route, but
/// not how many send at once.
package final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    package init(limitBytes: Int) { limit = limitBytes }

    /// Bodies up to this size are not counted: a read buffer holds them anyway.
    static let freeBytes = 65_536

    fileprivate func take(_ bytes: Int) -> Bool {
        guard used.wrappingAdd(bytes, ordering: .relaxed).newValue <= limit else {
            give(bytes)
            return false
        }
        return true
    }

    fileprivate func give(_ bytes: Int) { used.wrappingSubtract(bytes, ordering: .relaxed) }
}

/// One request's part of the budget. Dropping it gives the part back, whichever way the request ends.
package struct BodyAllowance: ~Copyable {
    /// `nil` while nothing is counted, as for nearly every request.
    private var budget: BodyBudget?
    private var bytes = 0

    package init() {}

    deinit { budget?.give(bytes) }

    /// Makes the part large enough for a body of `wanted` bytes. Never waits.
    mutating func grow(to wanted: Int, of budget: BodyBudget) -> Bool {
        guard wanted > max(bytes, BodyBudget.freeBytes) else { return true }
        guard budget.take(wanted - bytes) else { return false }
        self.budget = budget
        bytes = wanted
        return true
    }
}
