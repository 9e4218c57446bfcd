internal import Synchronization
internal import Transport

/// The memory that all request bodies under way may take together, divided fairly: what one client may send is capped by its
/// route, but not how many send at once.
///
/// What has come counts, not what was announced. Whoever has more than its share is refused first: at once where it wants
/// more, and with its next piece where somebody who has less was refused, so that nobody keeps a share by being slow.
package final class BodyMemoryBudget: Sendable {
    private let limit: Int
    private let shares: Mutex<FairShares<Never>>
    /// Memory is nearly used up: owners above their share are refused at their next piece.
    private let isShort = Atomic<Bool>(false)

    package init(limitBytes: Int) {
        limit = limitBytes
        // Nobody waits for memory with a body that is half here.
        shares = Mutex(FairShares(capacity: limitBytes, maxWaiting: 0))
    }

    /// Beginnings of bodies up to this size are not counted: a connection costs more.
    static let freeBytes = 4096

    /// Bodies are counted in steps of this size.
    static let stepBytes = 16_384

    fileprivate func take(_ bytes: Int, for owner: ShareOwner, _ slot: inout ShareSlot) -> Bool {
        shares.withLock { shares in
            let isTaken = shares.take(bytes, for: owner, &slot)
            let isRefusedItsShare = !isTaken && !shares.isBeyondShare(slot)
            if isRefusedItsShare || limit - shares.inUse < limit / 16 { isShort.store(true, ordering: .relaxed) }
            return isTaken
        }
    }

    fileprivate func give(_ bytes: Int, of slot: ShareSlot) {
        shares.withLock { shares in
            shares.give(bytes, of: slot)
            if limit - shares.inUse > limit / 8 { isShort.store(false, ordering: .relaxed) }
        }
    }

    /// Whether this owner has to give way to others that want their share.
    fileprivate func wantsBack(from slot: ShareSlot) -> Bool {
        isShort.load(ordering: .relaxed) && shares.withLock { $0.isBeyondShare(slot) }
    }

    /// Who holds how many bytes.
    var usage: [ShareUsage] { shares.withLock { $0.usage } }
}

/// One request's part of the budget. Dropping it gives the part back, whichever way the request ends.
package struct BodyMemoryPermit: ~Copyable {
    /// `nil` while nothing is counted, as for nearly every request.
    private var budget: BodyMemoryBudget?
    private var bytes = 0
    private var slot = ShareSlot.unknown

    package init() {}

    deinit { budget?.give(bytes, of: slot) }

    /// Makes the part large enough for a body of which `wanted` bytes have come. Never waits.
    mutating func grow(to wanted: Int, for owner: ShareOwner, of budget: BodyMemoryBudget) -> Bool {
        guard wanted > max(bytes, BodyMemoryBudget.freeBytes) else {
            return bytes == 0 || !budget.wantsBack(from: slot)
        }
        let step = BodyMemoryBudget.stepBytes
        let counted = (wanted + step - 1) / step * step
        guard budget.take(counted - bytes, for: owner, &slot) else { return false }
        self.budget = budget
        bytes = counted
        return true
    }
}
