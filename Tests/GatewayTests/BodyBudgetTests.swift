import Testing

@testable import Gateway

@Suite("The memory of bodies under way")
struct BodyBudgetTests {
    @Test("A part that is dropped is there for the next one")
    func givesBack() {
        let budget = BodyBudget(limitBytes: 1_000_000)
        do {
            var first = BodyAllowance()
            let grown1 = first.grow(to: 900_000, of: budget)
            #expect(grown1)
            var second = BodyAllowance()
            let grown2 = second.grow(to: 200_000, of: budget)
            #expect(!grown2)
            let grown3 = first.grow(to: 1_000_000, of: budget)
            #expect(grown3)
            let grown4 = first.grow(to: 1_000_001, of: budget)
            #expect(!grown4)
        }
        var third = BodyAllowance()
        let grown5 = third.grow(to: 1_000_000, of: budget)
        #expect(grown5)
    }

    @Test("Small bodies are not counted")
    func smallBodies() {
        let budget = BodyBudget(limitBytes: 0)
        var allowance = BodyAllowance()
        let grown6 = allowance.grow(to: BodyBudget.freeBytes, of: budget)
        #expect(grown6)
        let grown7 = allowance.grow(to: BodyBudget.freeBytes + 1, of: budget)
        #expect(!grown7)
    }
}
