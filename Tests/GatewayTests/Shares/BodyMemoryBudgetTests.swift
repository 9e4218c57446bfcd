import Testing

@testable import Gateway
@testable import Transport

@Suite("Memory for bodies in progress")
struct BodyMemoryBudgetTests {
    private static let mebibyte = 1 << 20

    private static func owner(_ organization: UInt64, token: UInt64 = 0) -> ShareOwner {
        ShareOwner(organization: organization, token: token)
    }

    /// Bodies that are held until they are dropped.
    private final class Holder {
        private var allowance = BodyMemoryPermit()
        private let budget: BodyMemoryBudget
        private let owner: ShareOwner
        private(set) var count = 0

        init(_ budget: BodyMemoryBudget, _ owner: ShareOwner) { (self.budget, self.owner) = (budget, owner) }

        /// Whether so many bytes more may come.
        func receive(_ bytes: Int) -> Bool {
            guard allowance.grow(to: count + bytes, for: owner, of: budget) else { return false }
            count += bytes
            return true
        }
    }

    @Test("BodyMemoryBudget: a dropped share is free for the next body")
    func givesBack() {
        let budget = BodyMemoryBudget(limitBytes: Self.mebibyte)
        do {
            let first = Holder(budget, Self.owner(1))
            #expect(first.receive(850_000))
            let second = Holder(budget, Self.owner(1))
            #expect(!second.receive(200_000))
            #expect(
                budget.usage.map(\.inUse) == [(850_000 / BodyMemoryBudget.stepBytes + 1) * BodyMemoryBudget.stepBytes])
        }
        #expect(budget.usage.isEmpty)
        let third = Holder(budget, Self.owner(1))
        #expect(third.receive(900_000))
    }

    @Test(
        "BodyMemoryBudget: unfinished bodies count, however small; their first bytes are a part of what a connection costs"
    )
    func smallBodies() {
        let budget = BodyMemoryBudget(limitBytes: Self.mebibyte)
        var held: [Holder] = []
        for _ in 0..<100 {
            let holder = Holder(budget, Self.owner(1))
            guard holder.receive(60_000) else { break }
            held.append(holder)
        }
        #expect((10...16).contains(held.count))
        let beginning = Holder(budget, Self.owner(1))
        #expect(beginning.receive(BodyMemoryBudget.freeBytes))
        #expect(!beginning.receive(1))
    }

    @Test(
        "BodyMemoryBudget: a greedy organization leaves some memory for others, and loses some if that is not enough"
    )
    func fairShares() {
        let budget = BodyMemoryBudget(limitBytes: 16 * Self.mebibyte)
        let hog = (0..<20).map { _ in Holder(budget, Self.owner(1)) }
        for holder in hog { _ = holder.receive(Self.mebibyte) }
        let taken = hog.reduce(0) { $0 + $1.count }
        #expect(taken >= 13 * Self.mebibyte && taken <= 14 * Self.mebibyte)

        let quiet = (0..<2).map { _ in Holder(budget, Self.owner(2)) }
        for holder in quiet { #expect(holder.receive(Self.mebibyte - BodyMemoryBudget.stepBytes)) }
        // The next piece of a body, however small, is where the hog has to give way.
        let holder = Holder(budget, Self.owner(2))
        #expect(!holder.receive(2 * Self.mebibyte))
        #expect(hog.allSatisfy { $0.count == 0 || !$0.receive(1) })
        #expect(quiet.allSatisfy { $0.receive(1) })
    }

    @Test("BodyMemoryBudget: a body that comes more slowly than 1 KiB a second is too slow, whatever came of it before")
    func pace() {
        /// Whether each of these pieces came fast enough.
        func isFastEnough(_ pieces: [(count: Int, wait: Duration)]) -> [Bool] {
            var pace = BodyRate(span: .seconds(30))
            return pieces.map { pace.received($0.count, after: $0.wait) }
        }
        #expect(isFastEnough(Array(repeating: (2048, .seconds(2)), count: 1000)).allSatisfy { $0 })
        #expect(
            isFastEnough([(1 << 20, .seconds(30)), (1, .seconds(20)), (1, .seconds(20))]) == [true, true, false])
        // Nobody is blamed for the time in which the upstream was waited for.
        #expect(isFastEnough(Array(repeating: (1, .zero), count: 1000)).allSatisfy { $0 })
    }
}
