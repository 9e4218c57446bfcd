/// A task, or a waiter without a task, that waits for its turn.
@safe package struct Turn {
    @safe private enum Waiting {
        case task(UnsafeContinuation<Void, Never>)
        case waiter(any LoopWaiter)
    }

    private let waiting: Waiting

    init(_ continuation: UnsafeContinuation<Void, Never>) { unsafe waiting = .task(continuation) }

    init(_ waiter: any LoopWaiter) { waiting = .waiter(waiter) }

    // SAFETY: a turn leaves its queue once, and its taker begins it once.
    func begin(on loop: EventLoop) {
        switch waiting {
        case .task(let continuation): unsafe continuation.resume()
        case .waiter(let waiter): loop.wake(waiter, .turn)
        }
    }
}

/// The turns that are waited for on a loop, and their order. Belongs to its loop's thread.
package protocol TurnQueue: AnyObject {
    var isEmpty: Bool { get }

    func add(_ turn: Turn, of owner: ShareOwner)

    /// Ends the turn that this returned last, and takes the next one out. Returns `nil` if none is waited for.
    func next() -> Turn?
}

/// A queue in which the first to come has the first turn.
final class TurnsInOrder: TurnQueue {
    private var turns: [Turn] = []

    var isEmpty: Bool { turns.isEmpty }

    func add(_ turn: Turn, of owner: ShareOwner) { turns.append(turn) }

    func next() -> Turn? { turns.isEmpty ? nil : turns.removeFirst() }
}
