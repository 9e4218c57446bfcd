/// A task that waits for its turn.
@safe package struct Turn {
    private let continuation: UnsafeContinuation<Void, Never>

    init(_ continuation: UnsafeContinuation<Void, Never>) { unsafe self.continuation = continuation }

    // SAFETY: a turn leaves its queue once, and whoever took it out begins it once.
    func begin() { unsafe continuation.resume() }
}

/// The tasks of a loop that wait for their turn, and the order in which they get it. Belongs to its loop's thread.
package protocol TurnQueue: AnyObject {
    var isEmpty: Bool { get }

    func add(_ turn: Turn, of owner: ShareOwner)

    /// Ends the turn that this returned last, and takes the next one out; `nil` if none waits.
    func next() -> Turn?
}

/// First come, first served.
final class TurnsInOrder: TurnQueue {
    private var turns: [Turn] = []

    var isEmpty: Bool { turns.isEmpty }

    func add(_ turn: Turn, of owner: ShareOwner) { turns.append(turn) }

    func next() -> Turn? { turns.isEmpty ? nil : turns.removeFirst() }
}
