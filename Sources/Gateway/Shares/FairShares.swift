internal import Transport

/// What an organization holds of something shared, and how many wait for it.
struct ShareUsage: Equatable, Sendable {
    let organization: UInt64
    let inUse: Int
    let waiting: Int
}

/// Where the shares of an owner are kept. A hint: it is checked when it is used, and found again where it is out of date.
/// While the owner holds something or waits it is sure.
struct ShareSlot: Equatable, Sendable {
    fileprivate var index = -1

    static let unknown = ShareSlot()

    init() {}

    fileprivate init(index: Int) { self.index = index }
}

/// A waiter in the queue of some shares.
struct ShareTicket: Sendable {
    fileprivate let slot: ShareSlot
    fileprivate let serial: UInt64
}

/// A fixed amount of something, divided fairly by organization and within an organization by token.
///
/// An organization may use all of it while nobody else wants any, but for a reserve. Once somebody waits, what becomes free
/// goes to the organization that has the least in use, and there to the token that has the least; equals take turns, and
/// within a token the first to come is the first to be served. So the shares approach max-min fairness as fast as things
/// are given back, and a newcomer waits for at most one grant to each organization that holds no more than it does.
///
/// Nothing can be taken back from a request under way. Therefore the last eighth (1 at least, where there is more than 1)
/// is for owners that are below their share: a half of it for organizations, the other half for tokens within their
/// organization. An organization's share is the capacity divided by the busy organizations and one more. One that is alone
/// gets seven eighths, and another one that comes then has something at once.
///
/// The queue is bounded, and shared the same way: where it is full, the newest waiter of the organization that has most of
/// it gives way to one of an organization that has less.
///
/// A value: whoever shares it among threads puts a lock around it. What it costs depends on who holds or waits, not on who
/// ever came.
struct FairShares<Waiter> {
    private struct Wait {
        let serial: UInt64
        let amount: Int
        let waiter: Waiter
    }

    private struct Organization {
        var key: UInt64
        var inUse = 0
        var waiting = 0
        /// Tokens that hold or wait.
        var busyTokens = 0
        /// Tokens that are kept, busy or not. An organization without any is not kept.
        var tokens = 0
        var lastServed: UInt64 = 0
    }

    private struct Token {
        var owner: ShareOwner
        /// Where its organization is kept; below zero where nothing is here.
        var organization: Int
        var inUse = 0
        var queue: [Wait] = []
        var lastServed: UInt64 = 0

        var isBusy: Bool { inUse > 0 || !queue.isEmpty }
    }

    let capacity: Int
    /// How many may wait.
    let maxWaiting: Int
    private let organizationReserve: Int
    private let tokenReserve: Int
    /// What is in use by all.
    private(set) var inUse = 0
    /// How many wait.
    private(set) var waiting = 0

    private var organizations: [Organization] = []
    private var tokens: [Token] = []
    private var freeOrganizations: [Int] = []
    private var freeTokens: [Int] = []
    private var organizationIndex: [UInt64: Int] = [:]
    private var tokenIndex: [ShareOwner: Int] = [:]
    /// Tokens of whom somebody waits. Each turn looks at all of them: there are no more than may wait, or than open connections.
    private var waitingTokens: [Int] = []
    private var busyOrganizations = 0
    private var busyTokens = 0
    private var serial: UInt64 = 0

    init(capacity: Int, maxWaiting: Int) {
        self.capacity = capacity
        self.maxWaiting = maxWaiting
        let reserve = capacity > 1 ? max(1, capacity / 8) : 0
        // Where it cannot be halved, the organizations' half comes first.
        tokenReserve = reserve == 1 ? (capacity > 7 ? 1 : 0) : reserve / 2
        organizationReserve = reserve == 1 ? 1 : reserve - reserve / 2
    }

    /// Takes `amount` if nobody waits and it is left for this owner. `slot` is where the owner was found last, and is now.
    mutating func take(_ amount: Int, for owner: ShareOwner, _ slot: inout ShareSlot) -> Bool {
        let index = find(owner, slot)
        slot = ShareSlot(index: index)
        guard waitingTokens.isEmpty, admits(amount, index) else { return false }
        use(amount, index)
        return true
    }

    enum Queueing {
        /// Where another one had to give way for it, that one: it waits no more.
        case waits(ShareTicket, displaced: Waiter?)
        /// The queue is full, or the amount is more than there is.
        case refused
    }

    /// Waits for `amount`. Whoever calls this goes on with `next` until nobody is served.
    mutating func wait(
        for amount: Int, of owner: ShareOwner, _ slot: inout ShareSlot, _ waiter: Waiter
    ) -> Queueing {
        guard amount <= capacity, maxWaiting > 0 else { return .refused }
        let index = find(owner, slot)
        slot = ShareSlot(index: index)
        serial += 1
        let ticket = ShareTicket(slot: slot, serial: serial)
        append(Wait(serial: serial, amount: amount, waiter: waiter), index)
        if waiting <= maxWaiting || isSomebodyServed { return .waits(ticket, displaced: nil) }
        let last = tokens[leastEntitled(index)].queue.count - 1
        let displaced = remove(at: last, of: leastEntitled(index))
        return displaced.serial == ticket.serial ? .refused : .waits(ticket, displaced: displaced.waiter)
    }

    /// Serves the waiter whose turn it is, if there is enough for it: what it waited for is in use, counted at `slot`.
    mutating func next() -> (waiter: Waiter, slot: ShareSlot)? {
        guard isSomebodyServed else { return nil }
        let index = firstInTurn
        let wait = remove(at: 0, of: index)
        use(wait.amount, index)
        return (wait.waiter, ShareSlot(index: index))
    }

    /// Waits no more. For one that was neither served nor displaced. Whoever calls this goes on with `next`.
    mutating func leave(_ ticket: ShareTicket) {
        let index = ticket.slot.index
        guard let position = tokens[index].queue.firstIndex(where: { $0.serial == ticket.serial }) else { return }
        _ = remove(at: position, of: index)
    }

    /// Gives `amount` back. Whoever calls this goes on with `next`.
    mutating func give(_ amount: Int, of slot: ShareSlot) {
        let index = slot.index
        inUse -= amount
        tokens[index].inUse -= amount
        precondition(tokens[index].inUse >= 0, "no more is given back than was taken")
        organizations[tokens[index].organization].inUse -= amount
        if !tokens[index].isBusy { becameIdle(index) }
    }

    /// Whether this owner has more than its share while others hold or wait: what it should give back if it can.
    func isBeyondShare(_ slot: ShareSlot) -> Bool {
        let token = tokens[slot.index]
        let organization = organizations[token.organization]
        // Its share of what its organization has: a token that has little is not made to pay for the others.
        let isLargePart = token.inUse * organization.busyTokens >= organization.inUse
        if busyOrganizations > 1 { return isLargePart && organization.inUse > capacity / busyOrganizations }
        return organization.busyTokens > 1 && token.inUse > capacity / organization.busyTokens
    }

    /// The organizations that hold something or wait.
    var usage: [ShareUsage] {
        organizations.compactMap { organization in
            organization.busyTokens == 0
                ? nil
                : ShareUsage(organization: organization.key, inUse: organization.inUse, waiting: organization.waiting)
        }
    }

    /// Owners that are kept, for tests.
    var ownersForTest: (organizations: Int, tokens: Int) { (organizationIndex.count, tokenIndex.count) }

    private func admits(_ amount: Int, _ index: Int) -> Bool {
        let left = capacity - inUse - amount
        if left >= organizationReserve + tokenReserve { return true }
        // Nobody is to wait for what cannot come.
        guard left >= 0, inUse > 0 else { return left >= 0 }
        let token = tokens[index]
        let organization = organizations[token.organization]
        var reserve = 0
        let share = capacity / (busyOrganizations + (organization.busyTokens == 0 ? 2 : 1))
        if organization.inUse > 0, organization.inUse + amount > share { reserve += organizationReserve }
        let tokenShare = share / (organization.busyTokens + (token.isBusy ? 1 : 2))
        if token.inUse > 0, token.inUse + amount > tokenShare { reserve += tokenReserve }
        return left >= reserve
    }

    private mutating func use(_ amount: Int, _ index: Int) {
        if !tokens[index].isBusy { becomesBusy(index) }
        serial += 1
        inUse += amount
        tokens[index].inUse += amount
        tokens[index].lastServed = serial
        let organization = tokens[index].organization
        organizations[organization].inUse += amount
        organizations[organization].lastServed = serial
    }

    /// Whether `next` serves somebody.
    private var isSomebodyServed: Bool {
        guard !waitingTokens.isEmpty else { return false }
        let index = firstInTurn
        return admits(tokens[index].queue[0].amount, index)
    }

    /// Of the tokens for which somebody waits, the one that is served next.
    private var firstInTurn: Int {
        var best = waitingTokens[0]
        for index in waitingTokens.dropFirst() where isBefore(index, best) { best = index }
        return best
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        let (token, otherToken) = (tokens[one], tokens[other])
        if token.organization != otherToken.organization {
            let organization = organizations[token.organization]
            let otherOrganization = organizations[otherToken.organization]
            return (organization.inUse, organization.lastServed, organization.key)
                < (otherOrganization.inUse, otherOrganization.lastServed, otherOrganization.key)
        }
        return (token.inUse, token.lastServed) < (otherToken.inUse, otherToken.lastServed)
    }

    /// The token whose newest waiter gives way in a full queue; `newcomer` where no other has more of it.
    private func leastEntitled(_ newcomer: Int) -> Int {
        var worst = newcomer
        for index in waitingTokens where deservesLess(index, worst) { worst = index }
        return worst
    }

    private func deservesLess(_ one: Int, _ other: Int) -> Bool {
        let (token, otherToken) = (tokens[one], tokens[other])
        if token.organization != otherToken.organization {
            let organization = organizations[token.organization]
            let otherOrganization = organizations[otherToken.organization]
            return (organization.waiting, organization.inUse) > (otherOrganization.waiting, otherOrganization.inUse)
        }
        return (token.queue.count, token.inUse) > (otherToken.queue.count, otherToken.inUse)
    }

    private mutating func append(_ wait: Wait, _ index: Int) {
        if !tokens[index].isBusy { becomesBusy(index) }
        if tokens[index].queue.isEmpty { waitingTokens.append(index) }
        tokens[index].queue.append(wait)
        organizations[tokens[index].organization].waiting += 1
        waiting += 1
    }

    private mutating func remove(at position: Int, of index: Int) -> Wait {
        let wait = tokens[index].queue.remove(at: position)
        organizations[tokens[index].organization].waiting -= 1
        waiting -= 1
        if tokens[index].queue.isEmpty {
            waitingTokens.removeAll { $0 == index }
            if !tokens[index].isBusy { becameIdle(index) }
        }
        return wait
    }

    private mutating func becomesBusy(_ index: Int) {
        let organization = tokens[index].organization
        if organizations[organization].busyTokens == 0 { busyOrganizations += 1 }
        organizations[organization].busyTokens += 1
        busyTokens += 1
    }

    private mutating func becameIdle(_ index: Int) {
        let organization = tokens[index].organization
        organizations[organization].busyTokens -= 1
        if organizations[organization].busyTokens == 0 { busyOrganizations -= 1 }
        busyTokens -= 1
    }

    private mutating func find(_ owner: ShareOwner, _ hint: ShareSlot) -> Int {
        let index = hint.index
        // Compared part by part: `==` of the whole is in another module, and costs a call.
        if index >= 0, index < tokens.count, tokens[index].owner.token == owner.token,
            tokens[index].owner.organization == owner.organization, tokens[index].organization >= 0
        {
            return index
        }
        return tokenIndex[owner] ?? insert(owner)
    }

    private mutating func insert(_ owner: ShareOwner) -> Int {
        // An owner that comes again at once is not made anew each time; but no more idle ones are kept than busy ones.
        if tokenIndex.count >= 2 * busyTokens + 64 { dropIdle() }
        let organization = organizationIndex[owner.organization] ?? insertOrganization(owner.organization)
        organizations[organization].tokens += 1
        let token = Token(owner: owner, organization: organization)
        let index: Int
        if let free = freeTokens.popLast() {
            index = free
            tokens[index] = token
        } else {
            index = tokens.count
            tokens.append(token)
        }
        tokenIndex[owner] = index
        return index
    }

    private mutating func insertOrganization(_ key: UInt64) -> Int {
        let index: Int
        if let free = freeOrganizations.popLast() {
            index = free
            organizations[index] = Organization(key: key)
        } else {
            index = organizations.count
            organizations.append(Organization(key: key))
        }
        organizationIndex[key] = index
        return index
    }

    private mutating func dropIdle() {
        for index in tokens.indices where tokens[index].organization >= 0 && !tokens[index].isBusy {
            let organization = tokens[index].organization
            tokenIndex[tokens[index].owner] = nil
            tokens[index].organization = -1
            freeTokens.append(index)
            organizations[organization].tokens -= 1
            guard organizations[organization].tokens == 0 else { continue }
            organizationIndex[organizations[organization].key] = nil
            freeOrganizations.append(organization)
        }
    }
}
