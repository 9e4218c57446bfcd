internal import Transport

/// A request's place in the queue for a connection. Dropping it gives the place up.
///
/// The queue has the place once ``LeaseTable/decide(_:at:now:on:charge:)`` finds the connection taken.
package final class QueuePlace: Sendable {
    let id: UInt64
    let waiter: Waiter
    private let key: LeaseKey
    private let table: LeaseTable

    init(id: UInt64, key: LeaseKey, table: LeaseTable, loop: EventLoop) {
        self.id = id
        self.key = key
        self.table = table
        waiter = Waiter(loop: loop)
    }

    deinit { table.leaveQueue(id, of: key) }
}
