/// A place where one task waits for another task of the same loop, or for time to pass.
///
/// It belongs to its loop's thread. It costs nothing but memory while nobody waits, and may be used again and again.
@safe package final class Parker {
    private unowned let loop: EventLoop
    private var waiter: UnsafeContinuation<Bool, Never>?
    private var isWoken = false

    private(set) var deadline: Instant = .distantFuture
    /// The earliest tick at which the wheel looks at this place. This is `.max` if it does not.
    var armedTick: UInt64 = .max
    /// This tells the wheel's entries of this place from those of others.
    var generation: UInt32 = 0

    package init(loop: EventLoop) { self.loop = loop }

    var isWaiting: Bool { unsafe waiter != nil }

    /// Waits for `wake`, at most until `deadline`. Returns whether it was woken.
    package func wait(before deadline: Instant) async -> Bool {
        loop.preconditionOnLoop()
        if isWoken {
            isWoken = false
            return true
        }
        precondition(!isWaiting, "one task waits in a place")
        self.deadline = deadline
        loop.arm(self)
        // SAFETY: resumed exactly once, by `finish`, which clears it first; this object outlives the wait because the
        // waiting task holds it.
        return unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    /// Ends the wait. If nobody waits, the next wait ends at once. Returns whether somebody waited: if not, a caller that
    /// hands something over keeps it.
    @discardableResult
    package func wake() -> Bool {
        loop.preconditionOnLoop()
        guard isWaiting else {
            isWoken = true
            return false
        }
        finish(true)
        return true
    }

    func deadlinePassed() {
        if isWaiting { finish(false) }
    }

    private func finish(_ wasWoken: Bool) {
        guard let waiter = unsafe waiter else { return }
        unsafe self.waiter = nil
        deadline = .distantFuture
        unsafe waiter.resume(returning: wasWoken)
    }
}
