internal import Synchronization
internal import Transport

/// Bounds the requests that wait for connections, of all organizations together, and divides the places fairly among them.
final class WaitingRoom: Sendable {
    private let shares: Mutex<FairShares<Never>>

    /// Each waiting request keeps its client's connection and its body, so some hundred are enough.
    static let capacity = 1024

    init(capacity: Int = WaitingRoom.capacity) { shares = Mutex(FairShares(capacity: capacity, maxWaiting: 0)) }

    /// `nil` if there is no room for this owner.
    func enter(_ owner: ShareOwner) -> WaitingPermit? {
        let slot = shares.withLock { shares -> ShareSlot? in
            var slot = ShareSlot()
            return shares.take(1, for: owner, &slot) ? slot : nil
        }
        return slot.map { WaitingPermit(room: self, slot: $0) }
    }

    /// The places that are taken.
    var countForTest: Int { shares.withLock { $0.inUse } }

    fileprivate func leave(_ slot: ShareSlot) { shares.withLock { $0.give(1, of: slot) } }
}

/// The right to wait. Dropping it gives it back.
final class WaitingPermit: Sendable {
    private let room: WaitingRoom
    private let slot: ShareSlot

    fileprivate init(room: WaitingRoom, slot: ShareSlot) {
        self.room = room
        self.slot = slot
    }

    deinit { room.leave(slot) }
}
