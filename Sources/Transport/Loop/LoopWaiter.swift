/// Something that waits on a loop without a task. When the wait has ended, the loop calls it on the loop's stack.
///
/// A task keeps the frames of its async functions while it waits, which is some 4 KiB. A connection that waits for its next
/// request needs nothing of them.
///
/// `Sendable` because tasks refer to it. It is used on its loop's thread only.
protocol LoopWaiter: AnyObject, Sendable {
    func waitEnded(_ end: WaitEnd)

    /// Does work that has to wait for something else, in a task that the waiter asked the loop for.
    func work() async
}

/// What a wait without a task was for, and how it ended.
enum WaitEnd: Equatable {
    case socket(Readiness)
    /// The waiter has its turn.
    case turn
}
