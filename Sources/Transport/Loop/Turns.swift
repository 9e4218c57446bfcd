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

/// How long each organization has worked in this round. It has one stretch of work, however many connections it has; then
/// others have their turn.
///
/// The first few steps in a round are free, without a look at the clock: they are short, and most requests take no more.
///
/// An organization some of whose tasks wait works in its turns only, besides its free steps: those that come from the sockets
/// would else overtake the waiting ones each time.
struct Stretches {
    private struct Stretch {
        var organization: UInt64 = 0
        var round: UInt64 = 0
        var steps = 0
        /// When its first step was taken that is not free, in nanoseconds; zero before that.
        var begunAt: UInt64 = 0
        /// The queue in which a task of it last waited, see `queue`.
        var waitedIn: UInt64 = 0
    }

    private var stretches = Array(repeating: Stretch(), count: Self.places)
    private var round: UInt64 = 1
    /// Tasks in this round come from the sockets.
    private var hasPolled = false
    /// Another one each time nobody waits.
    private var queue: UInt64 = 1
    /// How many organizations have worked in this round.
    private var organizations: UInt64 = 0
    /// The nanoseconds for which each of them may work in this round.
    private var share = Self.longestWait / Self.leastShares
    /// The steps of all in this round, and when so many were taken that somebody looked at the clock, in nanoseconds; zero
    /// before that.
    private var steps = 0
    private var lookedAt: UInt64 = 0
    /// Free steps that are left for any organization, once its own are used up.
    private var spareSteps = Self.mostSpareSteps

    /// Two organizations at one place share their time in a round: that is unlikely, and harmless.
    private static let places = 256
    /// For each organization in a round.
    private static let freeSteps = 4
    /// For all together in a round, besides their own.
    private static let mostSpareSteps = 8
    /// After so many in a round, those of an organization are free only while the round is short.
    private static let mostFreeSteps = 256
    /// Nanoseconds that all together may take before the first one has its turn again.
    private static let longestWait: UInt64 = 8_000_000
    private static let leastShares: UInt64 = 8

    mutating func beginRound(hasPolled: Bool, isNobodyWaiting: Bool) {
        round &+= 1
        self.hasPolled = hasPolled
        if isNobodyWaiting { queue &+= 1 }
        // There will be about as many as in the round before.
        share = Self.longestWait / max(organizations, Self.leastShares)
        organizations = 0
        spareSteps = Self.mostSpareSteps
        steps = 0
        lookedAt = 0
    }

    /// Whether an owner, before its next step, has worked long enough to let others go first. The more organizations there
    /// are, the sooner that is so.
    ///
    /// `steps` is how many the one at hand counts for: a handshake is long.
    mutating func isOver(for owner: ShareOwner, steps: Int = 1) -> Bool {
        let organization = organization(of: owner)
        let place = place(of: organization)
        if stretches[place].round != round {
            let isSame = stretches[place].organization == organization
            let waitedIn = isSame ? stretches[place].waitedIn : 0
            stretches[place] = Stretch(organization: organization, round: round, waitedIn: waitedIn)
            organizations += 1
        }
        stretches[place].steps += steps
        self.steps += steps
        let isFree = stretches[place].steps <= Self.freeSteps
        return !(isFree && self.steps <= Self.mostFreeSteps) && isTimeOver(at: place, steps, isFree)
    }

    private mutating func isTimeOver(at place: Int, _ steps: Int, _ isFree: Bool) -> Bool {
        if !isFree, spareSteps >= steps {
            spareSteps -= steps
            return false
        }
        if hasPolled, stretches[place].waitedIn == queue { return true }
        let time = Instant.now().nanoseconds
        if self.steps > Self.mostFreeSteps {
            if lookedAt == 0 { lookedAt = time }
            if time - lookedAt >= Self.longestWait { return true }
            if isFree { return false }
        }
        if stretches[place].begunAt == 0 { stretches[place].begunAt = time }
        return time - stretches[place].begunAt >= share
    }

    /// A task of this owner, whose turn is over, waits for the next one.
    mutating func waits(_ owner: ShareOwner) {
        let organization = organization(of: owner)
        let place = place(of: organization)
        if stretches[place].organization == organization { stretches[place].waitedIn = queue }
    }

    private func organization(of owner: ShareOwner) -> UInt64 {
        owner.organization == 0 ? owner.token : owner.organization
    }

    private func place(of organization: UInt64) -> Int {
        let place = Int(truncatingIfNeeded: organization) & (Self.places - 1)
        let isTaken = stretches[place].round == round && stretches[place].organization != organization
        return isTaken ? place ^ 1 : place
    }
}
