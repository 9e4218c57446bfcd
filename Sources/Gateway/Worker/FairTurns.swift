package import Transport

/// The turns of a loop, divided by organization and token: one with many busy connections gets no more turns than one with a
/// single connection.
package final class FairTurns: TurnQueue {
    private var shares = FairShares<Turn>(capacity: 1, maxWaiting: .max)
    private var current: ShareSlot?
    private let counts: WorkerMetrics?

    /// `counts` gets how often each organization waits.
    package init(counts: WorkerMetrics? = nil) { self.counts = counts }

    package var isEmpty: Bool { shares.waiting == 0 }

    package func add(_ turn: Turn, of owner: ShareOwner) {
        counts?.turnAwaited(by: owner.organization)
        var slot = ShareSlot.unknown
        guard case .waits(_, nil) = shares.wait(for: 1, of: owner, &slot, turn) else {
            preconditionFailure("every task may wait")
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
