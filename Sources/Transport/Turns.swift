/// Whose work a task does: an organization and a token of it, as numbers; the organization is 0 where it is not known, and
/// the token then stands for the client's address.
package struct TurnOwner: Equatable, Sendable {
    package let organization: UInt64
    package let token: UInt64

    package init(organization: UInt64, token: UInt64) {
        self.organization = organization
        self.token = token
    }

    /// An organization has one stretch, however many connections it has.
    var key: UInt64 { organization == 0 ? token : organization }
}

/// A task that waits until it is its turn.
@safe package struct Turn {
    private let continuation: UnsafeContinuation<Void, Never>

    init(_ continuation: UnsafeContinuation<Void, Never>) { unsafe self.continuation = continuation }

    // SAFETY: whoever has the turn out of its queue is the only one, and begins it once.
    func begin() { unsafe continuation.resume() }
}

/// The tasks of a loop that wait for their turn, and the order in which they get it. Belongs to its loop's thread.
package protocol TurnQueue: AnyObject {
    var isEmpty: Bool { get }

    func add(_ turn: Turn, of owner: TurnOwner)

    /// The turn before is over: the next one.
    func next() -> Turn?
}

/// First come, first served.
final class TurnsInOrder: TurnQueue {
    private var turns: [Turn] = []

    var isEmpty: Bool { turns.isEmpty }

    func add(_ turn: Turn, of owner: TurnOwner) { turns.append(turn) }

    func next() -> Turn? { turns.isEmpty ? nil : turns.removeFirst() }
}

/// How long each owner has worked since others had their turn. A task is not asked for more than a few steps before it looks
/// at the clock, and an owner of many tasks has no more than one of few.
struct Stretches {
    private struct Stretch {
        var owner: UInt64 = 0
        var round: UInt64 = 0
        var steps = 0
        var begunAt = Instant.distantFuture
    }

    private var stretches = Array(repeating: Stretch(), count: Self.places)
    private var round: UInt64 = 1
    /// Owners of this round, and of the one before.
    private var owners = 0
    private var lastOwners = 0

    /// Two owners at one place share their time in a round: that is unlikely, and harmless.
    private static let places = 256
    private static let freeSteps = 4
    /// What all owners together may take before the first has its turn again.
    private static let longestWait = Duration.milliseconds(8)
    private static let leastShares = 8

    mutating func beginRound() {
        round &+= 1
        lastOwners = owners
        owners = 0
    }

    /// Whether an owner that has one more step at hand has worked long enough for others to have their turn first. The more
    /// owners there are, the sooner; a few steps are always free, and cost no look at the clock.
    mutating func isOver(for owner: UInt64) -> Bool {
        let place = place(of: owner)
        if stretches[place].round != round {
            stretches[place] = Stretch(owner: owner, round: round)
            owners += 1
        }
        stretches[place].steps += 1
        let steps = stretches[place].steps
        guard steps > Self.freeSteps else { return false }
        let time = Instant.now()
        if steps == Self.freeSteps + 1 { stretches[place].begunAt = time }
        return time - stretches[place].begunAt >= Self.longestWait / max(lastOwners, Self.leastShares)
    }

    private func place(of owner: UInt64) -> Int {
        let place = Int(truncatingIfNeeded: owner) & (Self.places - 1)
        let isTaken = stretches[place].round == round && stretches[place].owner != owner
        return isTaken ? place ^ 1 : place
    }
}
