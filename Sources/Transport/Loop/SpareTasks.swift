/// The tasks of a loop that have no work. They are kept because a new task costs a proxied request a tenth of its time: it
/// allocates the memory for its frames piece by piece.
@safe struct SpareTasks {
    @safe private struct Spare {
        let continuation: UnsafeContinuation<(any LoopWaiter)?, Never>
    }

    private var spares: [Spare] = []
    /// The work for tasks that were made and have not begun. Were it captured, a task would hold its first waiter for ever.
    private var first: [any LoopWaiter] = []

    /// So many are kept, which have some 10 KiB each.
    private static let limit = 256

    var isFull: Bool { spares.count >= SpareTasks.limit }

    mutating func add(_ continuation: UnsafeContinuation<(any LoopWaiter)?, Never>) {
        spares.append(unsafe Spare(continuation: continuation))
    }

    /// Gives work to the task that had work last, whose memory is still in the caches. Returns `false` if there is none: then a
    /// new task has to take it.
    mutating func give(_ waiter: any LoopWaiter) -> Bool {
        guard let spare = spares.popLast() else {
            first.append(waiter)
            return false
        }
        // SAFETY: a task leaves the array before it goes on, so it goes on once.
        unsafe spare.continuation.resume(returning: waiter)
        return true
    }

    /// The first work of a new task.
    mutating func takeFirst() -> (any LoopWaiter)? { first.popLast() }

    /// Ends all of them.
    mutating func end() {
        // SAFETY: as above.
        while let spare = spares.popLast() { unsafe spare.continuation.resume(returning: nil) }
    }
}
