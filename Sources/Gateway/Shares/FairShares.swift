internal import Transport

/// The amount of a shared resource that an organization uses, and the number of its waiters.
struct ShareUsage: Equatable, Sendable {
    let organization: UInt64
    let inUse: Int
    let waiting: Int
}

/// A cached index of an owner's data. It is checked at each use and looked up again if it is outdated. It cannot be
/// outdated while the owner uses something or waits.
struct ShareSlot: Equatable, Sendable {
    fileprivate var index = -1

    static let unknown = ShareSlot()

    init() {}

    fileprivate init(index: Int) { self.index = index }
}

/// A waiter in the queue.
struct ShareTicket: Sendable {
    fileprivate let slot: ShareSlot
    fileprivate let serial: UInt64
}

/// Divides a fixed amount of a resource fairly by organization, and within an organization by token.
///
/// Without competition an organization may use everything except the reserve. When there are waiters, whatever becomes
/// free goes to the organization with the least in use, and there to the token with the least in use. Equal ones take
/// turns, and the waiters of one token are served in order. So the shares approach max-min fairness as fast as amounts
/// are returned. A newcomer waits for at most one grant to each organization that uses no more than it does.
///
/// Nothing can be taken back from a request in progress. Therefore the last eighth (at least 1 if the capacity is more
/// than 1) is reserved for owners below their share: one half for organizations, the other half for tokens within their
/// organization. An organization's share is the capacity divided by the number of busy organizations plus one. A single
/// organization gets seven eighths, so that another one gets something at once.
///
/// The queue is bounded and divided in the same way. If it is full, a newcomer displaces the newest waiter of the
/// organization with the most waiters, if its own organization has fewer.
///
/// A value type: callers on several threads need a lock. The cost depends on the owners that use something or wait now,
/// not on all owners ever seen.
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
        /// The number of tokens that use something or wait.
        var busyTokens = 0
        /// The number of stored tokens, busy or idle. An organization without stored tokens is not stored.
        var tokens = 0
        var lastServed: UInt64 = 0
    }

    private struct Token {
        var owner: ShareOwner
        /// The index of its organization; negative if this entry is free.
        var organization: Int
        var inUse = 0
        var queue: [Wait] = []
        var lastServed: UInt64 = 0

        var isBusy: Bool { inUse > 0 || !queue.isEmpty }
    }

    let capacity: Int
    /// The maximum number of waiters.
    let maxWaiting: Int
    private let organizationReserve: Int
    private let tokenReserve: Int
    /// The amount in use by all owners.
    private(set) var inUse = 0
    /// The number of waiters.
    private(set) var waiting = 0

    private var organizations: [Organization] = []
    private var tokens: [Token] = []
    private var freeOrganizations: [Int] = []
    private var freeTokens: [Int] = []
    private var organizationIndex: [UInt64: Int] = [:]
    private var tokenIndex: [ShareOwner: Int] = [:]
    /// Tokens with waiters. Each turn looks at all of them; their number is limited by `maxWaiting` and by the open
    /// connections.
    private var waitingTokens: [Int] = []
    private var busyOrganizations = 0
    private var busyTokens = 0
    private var serial: UInt64 = 0

    init(capacity: Int, maxWaiting: Int) {
        self.capacity = capacity
        self.maxWaiting = maxWaiting
        let reserve = capacity > 1 ? max(1, capacity / 8) : 0
        // A reserve of 1 cannot be divided. It goes to organizations, and tokens get one more if the capacity allows.
        tokenReserve = reserve == 1 ? (capacity > 7 ? 1 : 0) : reserve / 2
        organizationReserve = reserve == 1 ? 1 : reserve - reserve / 2
    }

    /// Takes `amount` if there are no waiters and the owner may have it. `slot` caches the owner's index.
    mutating func take(_ amount: Int, for owner: ShareOwner, _ slot: inout ShareSlot) -> Bool {
        let index = find(owner, slot)
        slot = ShareSlot(index: index)
        guard waitingTokens.isEmpty, admits(amount, index) else { return false }
        use(amount, index)
        return true
    }

    enum Queueing {
        /// `displaced` is the waiter that was removed from the full queue to make room.
        case waits(ShareTicket, displaced: Waiter?)
        /// The queue is full, or `amount` is more than the capacity.
        case refused
    }

    /// Queues a waiter for `amount`. Afterwards call `next` until it returns `nil`.
    mutating func wait(
        for amount: Int, of owner: ShareOwner, _ slot: inout ShareSlot, _ waiter: Waiter
    ) -> Queueing {
        guard amount <= capacity, maxWaiting > 0 else { return .refused }
        let index = find(owner, slot)
        slot = ShareSlot(index: index)
        serial += 1
        let ticket = ShareTicket(slot: slot, serial: serial)
        append(Wait(serial: serial, amount: amount, waiter: waiter), index)
        if waiting <= maxWaiting || canServeNext { return .waits(ticket, displaced: nil) }
        let last = tokens[leastEntitled(index)].queue.count - 1
        let displaced = remove(at: last, of: leastEntitled(index))
        return displaced.serial == ticket.serial ? .refused : .waits(ticket, displaced: displaced.waiter)
    }

    /// Serves the waiter whose turn it is, if its amount is available. The amount is then in use and counted at `slot`.
    mutating func next() -> (waiter: Waiter, slot: ShareSlot)? {
        guard canServeNext else { return nil }
        let index = firstInTurn
        let wait = remove(at: 0, of: index)
        use(wait.amount, index)
        return (wait.waiter, ShareSlot(index: index))
    }

    /// Removes a waiter that was neither served nor displaced. Afterwards call `next` until it returns `nil`.
    mutating func cancel(_ ticket: ShareTicket) {
        let index = ticket.slot.index
        guard let position = tokens[index].queue.firstIndex(where: { $0.serial == ticket.serial }) else { return }
        _ = remove(at: position, of: index)
    }

    /// Returns `amount`. Afterwards call `next` until it returns `nil`.
    mutating func give(_ amount: Int, of slot: ShareSlot) {
        let index = slot.index
        inUse -= amount
        tokens[index].inUse -= amount
        precondition(tokens[index].inUse >= 0, "no more is given back than was taken")
        organizations[tokens[index].organization].inUse -= amount
        if !tokens[index].isBusy { becameIdle(index) }
    }

    /// Whether this owner uses more than its share while others use something or wait. It should return the excess if
    /// possible.
    func isBeyondShare(_ slot: ShareSlot) -> Bool {
        let token = tokens[slot.index]
        let organization = organizations[token.organization]
        // The token's share of its organization's amount: a token that uses little does not pay for the others.
        let isLargePart = token.inUse * organization.busyTokens >= organization.inUse
        if busyOrganizations > 1 { return isLargePart && organization.inUse > capacity / busyOrganizations }
        return organization.busyTokens > 1 && token.inUse > capacity / organization.busyTokens
    }

    /// The organizations that use something or wait.
    var usage: [ShareUsage] {
        organizations.compactMap { organization in
            organization.busyTokens == 0
                ? nil
                : ShareUsage(organization: organization.key, inUse: organization.inUse, waiting: organization.waiting)
        }
    }

    /// The number of stored owners, for tests.
    var ownersForTest: (organizations: Int, tokens: Int) { (organizationIndex.count, tokenIndex.count) }

    private func admits(_ amount: Int, _ index: Int) -> Bool {
        let left = capacity - inUse - amount
        if left >= organizationReserve + tokenReserve { return true }
        // With nothing in use nothing will be returned, so waiting would never end.
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

    /// Whether `next` would serve a waiter.
    private var canServeNext: Bool {
        guard !waitingTokens.isEmpty else { return false }
        let index = firstInTurn
        return admits(tokens[index].queue[0].amount, index)
    }

    /// The token whose waiter is served next.
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

    /// The token whose newest waiter is displaced from a full queue; `newcomer` if no other token has more.
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
        // Compared member by member, because `==` of a type in another module costs a call.
        if index >= 0, index < tokens.count, tokens[index].owner.token == owner.token,
            tokens[index].owner.organization == owner.organization, tokens[index].organization >= 0
        {
            return index
        }
        return tokenIndex[owner] ?? insert(owner)
    }

    private mutating func insert(_ owner: ShareOwner) -> Int {
        // An owner that returns soon finds its entry again. The number of idle entries is limited by the number of busy
        // ones.
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
