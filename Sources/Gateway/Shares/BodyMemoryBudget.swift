internal import Synchronization
internal import Transport

/// The memory for all request bodies that are being received, divided fairly. A route limits the size of one body, but
/// not the number of bodies.
///
/// Received bytes count, not announced ones. An owner above its share is refused first: at once if it needs more memory,
/// and at its next piece if an owner below its share was refused. So a slow sender cannot keep memory above its share.
package final class BodyMemoryBudget: Sendable {
    private let limit: Int
    private let shares: Mutex<FairShares<Never>>
    /// Memory is nearly exhausted: owners above their share are refused at their next piece.
    private let isShort = Atomic<Bool>(false)

    package init(limitBytes: Int) {
        limit = limitBytes
        // No body waits for memory when a part of it is already here.
        shares = Mutex(FairShares(capacity: limitBytes, maxWaiting: 0))
    }

    /// The first bytes of a body up to this size are not counted: a connection itself costs more.
    static let freeBytes = 4096

    /// Counted sizes are multiples of this.
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

    /// Whether this owner must release its memory, because others are below their share.
    fileprivate func wantsBack(from slot: ShareSlot) -> Bool {
        isShort.load(ordering: .relaxed) && shares.withLock { $0.isBeyondShare(slot) }
    }

    /// The bytes in use by organization.
    var usage: [ShareUsage] { shares.withLock { $0.usage } }
}

/// One request's part of the budget. Dropping it returns the bytes, however the request ends.
package struct BodyMemoryPermit: ~Copyable {
    /// `nil` while no bytes are counted, which is the case for nearly all requests.
    private var budget: BodyMemoryBudget?
    private var bytes = 0
    private var slot = ShareSlot.unknown

    package init() {}

    deinit { budget?.give(bytes, of: slot) }

    /// Grows the part to a body of which `wanted` bytes have been received. Returns `false` if the request is refused.
    /// Never waits.
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
