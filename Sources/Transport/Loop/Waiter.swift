/// One task that waits on its loop for something that any thread may bring.
///
/// `@unchecked Sendable`: `parker` is used on its loop only.
package final class Waiter: @unchecked Sendable {
    private let loop: EventLoop
    private let parker: Parker

    package init(loop: EventLoop) {
        self.loop = loop
        parker = Parker(loop: loop)
    }

    /// Waits for ``wake()``, at most until `deadline`. Returns whether it was woken. On the loop only.
    package func wait(before deadline: Instant) async -> Bool { await parker.wait(before: deadline) }

    /// Ends the wait; if the task does not wait yet, its next wait ends at once. From any thread.
    package func wake() {
        if loop.isOnLoop { parker.wake() } else { loop.perform { self.parker.wake() } }
    }
}
