import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("The budget of retries")
struct RetryBudgetTests {
    private func budget(percent: Int, minPerSecond: Int) -> RetryBudget {
        var settings = UpstreamSettings.RetryBudget()
        settings.percent = percent
        settings.minPerSecond = minPerSecond
        return RetryBudget(settings)
    }

    private func count(_ budget: inout RetryBudget, now: Instant) -> Int {
        var count = 0
        while budget.take(now: now) { count += 1 }
        return count
    }

    private func second(_ second: UInt64) -> Instant { Instant(nanoseconds: second * 1_000_000_000) }

    @Test("RetryBudget: without traffic there are so many per second, counted over ten of them")
    func minimum() {
        var budget = budget(percent: 20, minPerSecond: 3)
        #expect(count(&budget, now: second(100)) == 30)
        #expect(count(&budget, now: second(109)) == 0)
        #expect(count(&budget, now: second(110)) == 30)
    }

    @Test("RetryBudget: with traffic there is a share of it, whichever is more")
    func share() {
        var budget = budget(percent: 20, minPerSecond: 1)
        for _ in 0..<49 { budget.requestBegan(now: second(100)) }
        #expect(count(&budget, now: second(100)) == 10)
        for _ in 0..<951 { budget.requestBegan(now: second(105)) }
        #expect(count(&budget, now: second(109)) == 190)
        #expect(count(&budget, now: second(110)) == 10)
    }

    @Test("RetryBudget: both shares can be zero: then no request is retried")
    func none() {
        var budget = budget(percent: 0, minPerSecond: 0)
        for _ in 0..<1000 { budget.requestBegan(now: second(100)) }
        #expect(count(&budget, now: second(100)) == 0)
    }
}
