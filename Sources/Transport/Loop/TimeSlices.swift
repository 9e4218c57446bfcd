/// The time that each organization has worked in this round. It has one time slice, however many connections it has. Then
/// others have their turn.
///
/// The first few steps in a round are free, and take no look at the clock: they are short, and most requests take no more.
///
/// While a task of an organization is queued, its other tasks may only use free steps. Otherwise tasks that sockets wake would
/// always overtake the queued ones.
struct TimeSlices {
    private struct TimeSlice {
        var organization: UInt64 = 0
        var round: UInt64 = 0
        var steps = 0
        /// The time of its first step that is not free, in nanoseconds. This is zero before that.
        var begunAt: UInt64 = 0
    }

    private var slices = Array(repeating: TimeSlice(), count: Self.places)
    private var round: UInt64 = 1
    /// The tasks of this round come from the sockets. Those of other rounds have waited for their turn.
    private var hasPolled = false
    /// The number of each organization's tasks that wait for their turn.
    private var waiting: [UInt64: Int] = [:]
    /// The number of organizations that have worked in this round.
    private var organizations: UInt64 = 0
    /// The same number for the last round whose tasks came from the sockets.
    private var busyOrganizations: UInt64 = 0
    /// The nanoseconds for which each of them may work in this round.
    private var share = Self.maxWait / Self.minShares
    /// The number of all steps of this round; and the time when the clock was first read after `maxFreeSteps` of them, in
    /// nanoseconds, which is zero before that.
    private var steps = 0
    private var lookedAt: UInt64 = 0
    /// The free steps that are left for any organization, once its own are used up.
    private var spareSteps = Self.maxSpareSteps

    /// Two organizations at one place share their time in a round. That is unlikely, and harmless.
    private static let places = 256
    /// Each organization has so many in a round.
    private static let freeSteps = 4
    /// All together have so many in a round, besides their own.
    private static let maxSpareSteps = 8
    /// After so many in a round, the steps of an organization are free only while the round is short.
    private static let maxFreeSteps = 256
    /// All together may take so many nanoseconds before the first one has its turn again.
    private static let maxWait: UInt64 = 8_000_000
    private static let minShares: UInt64 = 8

    mutating func beginRound(hasPolled: Bool) {
        round &+= 1
        if self.hasPolled { busyOrganizations = organizations }
        self.hasPolled = hasPolled
        // There will be about as many as there were when the sockets were last looked at.
        share = Self.maxWait / max(busyOrganizations, Self.minShares)
        organizations = 0
        spareSteps = Self.maxSpareSteps
        steps = 0
        lookedAt = 0
    }

    /// Whether an owner, before its next step, has worked long enough to let others go first. The more organizations there
    /// are, the sooner that is so.
    ///
    /// The step at hand counts for `steps`, because a handshake is long.
    mutating func isOver(for owner: ShareOwner, steps: Int = 1) -> Bool {
        let organization = organization(of: owner)
        let place = place(of: organization)
        if slices[place].round != round {
            slices[place] = TimeSlice(organization: organization, round: round)
            organizations += 1
        }
        slices[place].steps += steps
        self.steps += steps
        let isFree = slices[place].steps <= Self.freeSteps
        return !(isFree && self.steps <= Self.maxFreeSteps) && isTimeOver(of: organization, at: place, steps, isFree)
    }

    private mutating func isTimeOver(of organization: UInt64, at place: Int, _ steps: Int, _ isFree: Bool) -> Bool {
        if !isFree, spareSteps >= steps {
            spareSteps -= steps
            return false
        }
        if hasPolled, !isFree, waiting[organization] != nil { return true }
        let time = Instant.now().nanoseconds
        if self.steps > Self.maxFreeSteps {
            if lookedAt == 0 { lookedAt = time }
            if time - lookedAt >= Self.maxWait { return true }
            if isFree { return false }
        }
        if slices[place].begunAt == 0 { slices[place].begunAt = time }
        return time - slices[place].begunAt >= share
    }

    /// Something of this owner, whose turn is over, waits for the next turn.
    mutating func turnAwaited(by owner: ShareOwner) { waiting[organization(of: owner), default: 0] += 1 }

    /// Something of this owner has its next turn.
    mutating func turnBegan(of owner: ShareOwner) {
        let organization = organization(of: owner)
        let left = (waiting[organization] ?? 1) - 1
        waiting[organization] = left > 0 ? left : nil
    }

    private func organization(of owner: ShareOwner) -> UInt64 {
        owner.organization == 0 ? owner.token : owner.organization
    }

    private func place(of organization: UInt64) -> Int {
        // Spread by a multiplication (Fibonacci hashing): an unknown caller is its address, and could choose the low bits.
        let place = Int(truncatingIfNeeded: (organization &* 0x9E37_79B9_7F4A_7C15) >> 56)
        let isTaken = slices[place].round == round && slices[place].organization != organization
        return isTaken ? place ^ 1 : place
    }
}
