import TestSupport
import Testing

@testable import Gateway
@testable import Transport

@Suite("Fair shares")
struct FairSharesTests {
    /// Shares with a model of what they should hold beside them.
    private struct Model {
        struct Grant {
            let owner: ShareOwner
            let amount: Int
            let slot: ShareSlot
        }

        struct Waiting {
            let id: Int
            let owner: ShareOwner
            let amount: Int
            let ticket: ShareTicket
        }

        var shares: FairShares<Int>
        var grants: [Grant] = []
        var waiting: [Waiting] = []
        var refused = 0
        /// What waiters were given that were served in the last step.
        var served: [Int] = []
        private var serial = 0
        private var slots: [ShareOwner: ShareSlot] = [:]

        init(capacity: Int, maxWaiting: Int) { shares = FairShares(capacity: capacity, maxWaiting: maxWaiting) }

        /// The id of the request if it waits.
        @discardableResult
        mutating func ask(_ amount: Int = 1, for owner: ShareOwner) -> Int? {
            var slot = slots[owner] ?? .unknown
            defer { slots[owner] = slot }
            if shares.take(amount, for: owner, &slot) {
                grants.append(Grant(owner: owner, amount: amount, slot: slot))
                return nil
            }
            serial += 1
            switch shares.wait(for: amount, of: owner, &slot, serial) {
            case .refused: refused += 1
            case .waits(let ticket, let displaced):
                if let displaced { waiting.removeAll { $0.id == displaced } }
                waiting.append(Waiting(id: serial, owner: owner, amount: amount, ticket: ticket))
                serveAll()
                return waiting.contains { $0.id == serial } ? serial : nil
            }
            return nil
        }

        mutating func giveBack(at index: Int) {
            let grant = grants.remove(at: index)
            shares.give(grant.amount, of: grant.slot)
            serveAll()
        }

        mutating func cancel(at index: Int) {
            shares.cancel(waiting.remove(at: index).ticket)
            serveAll()
        }

        mutating func serveAll() {
            while let (id, slot) = shares.next() {
                guard let index = waiting.firstIndex(where: { $0.id == id }) else {
                    Issue.record("served one that does not wait")
                    return
                }
                let waiter = waiting.remove(at: index)
                hold(!waiting.contains { $0.owner == waiter.owner && $0.id < id }, "first come, first served")
                grants.append(Grant(owner: waiter.owner, amount: waiter.amount, slot: slot))
                served.append(id)
            }
        }

        func inUse(of organization: UInt64) -> Int {
            grants.reduce(0) { $0 + ($1.owner.organization == organization ? $1.amount : 0) }
        }

        /// The shares say what the model says, and are within their bounds.
        func check() {
            let inUse = grants.reduce(0) { $0 + $1.amount }
            hold(shares.inUse == inUse, "in use are \(shares.inUse), given were \(inUse)")
            hold(shares.waiting == waiting.count, "\(shares.waiting) wait, not \(waiting.count)")
            hold(inUse <= shares.capacity, "more is given than there is")
            hold(waiting.count <= shares.maxWaiting, "more wait than may")
            var usage: [UInt64: (Int, Int)] = [:]
            for grant in grants { usage[grant.owner.organization, default: (0, 0)].0 += grant.amount }
            for waiter in waiting { usage[waiter.owner.organization, default: (0, 0)].1 += 1 }
            let told = shares.usage
            hold(told.count == usage.count, "\(told.count) organizations are told, not \(usage.count)")
            for use in told {
                let known = usage[use.organization] ?? (-1, -1)
                hold(known == (use.inUse, use.waiting), "\(use) is told, \(known) is so")
            }
        }

        /// As `#expect`, which costs more than the step that it looks at: there are hundreds of thousands.
        func hold(_ isTrue: Bool, _ otherwise: @autoclosure () -> String) {
            if !isTrue { Issue.record("\(otherwise())") }
        }
    }

    private static func owner(_ organization: Int, _ token: Int = 0) -> ShareOwner {
        ShareOwner(organization: UInt64(organization), token: UInt64(organization * 1000 + token))
    }

    @Test(
        "FairShares: in any order of events, no more than the capacity is granted, only the reserve idles, and nothing leaks",
        arguments: 0..<40)
    func randomSchedule(seed: Int) {
        var random = SeededRandom(state: UInt64(seed))
        let capacity = Int.random(in: 1...40, using: &random)
        let largest = Int.random(in: 1...min(4, capacity), using: &random)
        var model = Model(capacity: capacity, maxWaiting: Int.random(in: 0...12, using: &random))
        let organizations = Int.random(in: 1...6, using: &random)
        for _ in 0..<600 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let owner = Self.owner(
                    Int.random(in: 0..<organizations, using: &random), Int.random(in: 0..<3, using: &random))
                model.ask(Int.random(in: 1...largest, using: &random), for: owner)
            case 5..<9:
                if let index = model.grants.indices.randomElement(using: &random) { model.giveBack(at: index) }
            default: if let index = model.waiting.indices.randomElement(using: &random) { model.cancel(at: index) }
            }
            model.check()
            // A waiter means that no more than the reserve is unused.
            let unused = capacity - model.shares.inUse
            model.hold(
                model.waiting.isEmpty || unused < max(2, capacity / 8) + largest, "\(unused) idle, and one waits")
            model.hold(model.waiting.isEmpty || model.shares.inUse > 0, "one waits for nobody")
        }
        while !model.grants.isEmpty { model.giveBack(at: 0) }
        while !model.waiting.isEmpty { model.cancel(at: 0) }
        model.check()
        #expect(model.shares.inUse == 0)
        #expect(model.shares.usage.isEmpty)
    }

    @Test("FairShares: a quiet organization waits behind no more releases than there are others", arguments: 0..<20)
    func quietOrganization(seed: Int) {
        var random = SeededRandom(state: UInt64(seed))
        let hogs = Int.random(in: 1...6, using: &random)
        let capacity = Int.random(in: 2...32, using: &random)
        var model = Model(capacity: capacity, maxWaiting: Int.random(in: 2 * hogs + 2...24, using: &random))
        let quiet = Self.owner(99)
        for _ in 0..<25 {
            for _ in 0..<60 {
                model.ask(
                    for: Self.owner(Int.random(in: 0..<hogs, using: &random), Int.random(in: 0..<9, using: &random)))
            }
            let refusedBefore = model.refused
            let id = model.ask(for: quiet)
            #expect(model.refused == refusedBefore, "there is room for it")
            var releases = 0
            while let id, !model.served.contains(id) {
                guard let index = model.grants.indices.randomElement(using: &random) else { break }
                model.giveBack(at: index)
                releases += 1
                // The others try to be there first.
                for hog in 0..<hogs { model.ask(for: Self.owner(hog, releases % 9)) }
            }
            #expect(releases <= hogs + 1)
            model.check()
            if let index = model.grants.firstIndex(where: { $0.owner == quiet }) { model.giveBack(at: index) }
        }
    }

    @Test(
        "FairShares: a new owner beside a greedy one gets something at once",
        arguments: [2, 3, 4, 8, 64, 1024])
    func reserve(capacity: Int) {
        var model = Model(capacity: capacity, maxWaiting: 16)
        for token in 0..<3 * capacity { model.ask(for: Self.owner(1, token % 3)) }
        let grants = model.grants.count
        #expect(grants >= capacity - max(1, capacity / 8) - 1)
        #expect(grants < capacity)
        #expect(model.ask(for: Self.owner(2)) == nil)
        #expect(model.grants.count == grants + 1)
    }

    @Test("FairShares: another token of the same organization also gets something at once", arguments: [8, 64, 1024])
    func reserveOfTokens(capacity: Int) {
        var model = Model(capacity: capacity, maxWaiting: 16)
        for _ in 0..<2 * capacity { model.ask(for: Self.owner(1, 1)) }
        let grants = model.grants.count
        #expect(grants < capacity)
        #expect(model.ask(for: Self.owner(1, 2)) == nil)
        #expect(model.grants.count == grants + 1)
        #expect(model.ask(for: Self.owner(2)) == nil, "and another organization after it")
    }

    @Test("FairShares: the first owner gets the only unit")
    func one() {
        var model = Model(capacity: 1, maxWaiting: 2)
        #expect(model.ask(for: Self.owner(1)) == nil)
        let second = model.ask(for: Self.owner(2))
        #expect(second != nil)
        model.giveBack(at: 0)
        #expect(model.served == [second])
    }

    @Test("FairShares: as units are released, the shares of the owners that want more become equal", arguments: 0..<10)
    func converges(seed: Int) {
        var random = SeededRandom(state: UInt64(seed))
        let organizations = 2 + seed % 4
        var model = Model(capacity: 64, maxWaiting: 64)
        // The first one is alone at first.
        for _ in 0..<80 { model.ask(for: Self.owner(0)) }
        for _ in 0..<400 {
            for organization in 0..<organizations {
                // One has many tokens, which does not give it more.
                let token = organization == 1 ? Int.random(in: 0..<8, using: &random) : 0
                model.ask(for: Self.owner(organization, token))
            }
            if let index = model.grants.indices.randomElement(using: &random) { model.giveBack(at: index) }
        }
        for organization in 0..<organizations {
            #expect(model.inUse(of: UInt64(organization)) >= 56 / organizations - 2)
        }
    }

    @Test("FairShares: the tokens of an organization share alike")
    func tokensShare() {
        var model = Model(capacity: 32, maxWaiting: 32)
        for _ in 0..<60 { model.ask(for: Self.owner(1, 0)) }
        for _ in 0..<60 {
            for token in 0..<4 { model.ask(for: Self.owner(1, token)) }
            model.giveBack(at: 0)
        }
        for token in 0..<4 {
            #expect(model.grants.count { $0.owner == Self.owner(1, token) } >= 6)
        }
    }

    @Test(
        "FairShares: in a full queue the newest waiter of the owner with most is displaced by an owner with less"
    )
    func queue() {
        var model = Model(capacity: 1, maxWaiting: 4)
        model.ask(for: Self.owner(1))
        let hogs = (0..<6).map { _ in model.ask(for: Self.owner(1)) }
        #expect(model.refused == 2)
        let quiet = model.ask(for: Self.owner(2))
        #expect(quiet != nil)
        #expect(!model.waiting.contains { $0.id == hogs[3] }, "the newest gave way")
        #expect(model.waiting.contains { $0.id == hogs[0] })
        model.ask(for: Self.owner(1))
        #expect(model.refused == 3)
        model.giveBack(at: 0)
        #expect(model.served == [quiet])
    }

    @Test("FairShares: a request for more than the capacity is refused at once")
    func tooMuch() {
        var model = Model(capacity: 4, maxWaiting: 4)
        model.ask(5, for: Self.owner(1))
        #expect(model.refused == 1)
    }

    @Test("FairShares: owners that hold nothing and wait for nothing are dropped; an outdated hint does no harm")
    func owners() {
        var shares = FairShares<Int>(capacity: 8, maxWaiting: 0)
        var held = ShareSlot.unknown
        #expect(shares.take(2, for: Self.owner(0), &held))
        var first = ShareSlot.unknown
        for index in 1...10_000 {
            var slot = first
            #expect(shares.take(1, for: Self.owner(index), &slot))
            shares.give(1, of: slot)
            if index == 1 { first = slot }
        }
        #expect(shares.ownersForTest.tokens <= 66)
        #expect(shares.ownersForTest.organizations <= 66)
        #expect(shares.usage == [ShareUsage(organization: 0, inUse: 2, waiting: 0)])
        shares.give(2, of: held)
        #expect(shares.usage.isEmpty)
    }

    @Test("FairShares: owners with more than their share are known while others wait")
    func beyondShare() {
        var shares = FairShares<Int>(capacity: 80, maxWaiting: 0)
        var (hog, quiet) = (ShareSlot.unknown, ShareSlot.unknown)
        #expect(shares.take(60, for: Self.owner(1), &hog))
        #expect(!shares.isBeyondShare(hog), "it is alone")
        #expect(shares.take(5, for: Self.owner(2), &quiet))
        #expect(shares.isBeyondShare(hog))
        #expect(!shares.isBeyondShare(quiet))
    }
}
