internal import Policy
package import Transport

/// The turns of a loop, divided by organization and token: who has many connections at work goes on no more often than who
/// has one.
package final class FairTurns: TurnQueue {
    private var shares = FairShares<Turn>(capacity: 1, seats: .max)
    private var current: ShareSlot?

    package init() {}

    package var isEmpty: Bool { shares.waiting == 0 }

    package func add(_ turn: Turn, of owner: TurnOwner) {
        var slot = ShareSlot.unknown
        let owner = ShareOwner(organization: owner.organization, token: owner.token)
        guard case .waits(_, nil) = shares.wait(for: 1, of: owner, &slot, turn) else {
            preconditionFailure("every task has a seat")
        }
    }

    package func next() -> Turn? {
        if let current { shares.give(1, of: current) }
        current = nil
        guard let (turn, slot) = shares.next() else { return nil }
        current = slot
        return turn
    }
}

extension TurnOwner {
    package init(_ owner: ShareOwner) { self.init(organization: owner.organization, token: owner.token) }

    /// Whoever a request was granted to; on a public route whoever it was before.
    init(of grant: Grant, otherwise other: TurnOwner) {
        guard let principal = grant.principal, let organization = grant.organization else {
            self = other
            return
        }
        self.init(organization: organization.key, token: principal.key)
    }
}
