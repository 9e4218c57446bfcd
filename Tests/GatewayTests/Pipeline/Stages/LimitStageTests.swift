import HTTP
import Policy
import Testing

@testable import Gateway
@testable import Transport

@Suite("LimitStage")
struct LimitStageTests {
    private let stage = LimitStage(
        limiter: RateLimiter(), failures: FailedAuthentications(), counts: Metrics(workerCount: 1)[worker: 0])
    private let decider = DecideStage()

    private static let list = "GET /v1/organizations/org_a/knowledge/connectors/jobs HTTP/1.1\nHost: a\n"
    private static let trigger =
        "POST /v1/organizations/org_a/knowledge/connectors/jobs HTTP/1.1\nHost: a\nContent-Length: 2\n"

    private func policies(_ limits: String) throws -> WorkerPolicies {
        try TestPipeline.compiledPolicies("limits: { \(limits) },")
    }

    /// Where a request is refused.
    private enum Step { case check, charge }

    /// One request through decision and limits: where it was refused; `nil` where it passed. `isRefunded` gives its work back.
    private func run(_ head: String, _ policies: WorkerPolicies, at seconds: UInt64 = 1, isRefunded: Bool = false)
        throws -> Step?
    {
        let request = try Request.parsed(head + "Authorization: Bearer token-a\n\n")
        var exchange = Exchange(trace: .fresh(), policies: policies, startedAt: Instant(nanoseconds: 0))
        var cache = TokenDigestCache()
        let now = Instant(nanoseconds: seconds * 1_000_000_000)
        guard case .forward(let grant) = decider.decide(request, &exchange, &cache, epochSeconds: 0) else {
            Issue.record("the request is not granted")
            return nil
        }
        do throws(Failure) {
            try stage.chargeAttempt(grant, &exchange, now: now)
            try stage.peekWork(grant, request, &exchange, now: now)
        } catch { return .check }
        exchange.connectionID = "conn_1"
        do throws(Failure) { try stage.chargeWork(grant, &exchange, now: now) } catch { return .charge }
        if isRefunded { stage.refundWork(&exchange, now: now) }
        return nil
    }

    @Test("LimitStage: a limit on calls refuses in the first step, and is never given back")
    func calls() throws {
        let policies = try policies(##"all: { on: "*", per: "token", allow: "2/hour", charge: "calls" }"##)
        #expect(try run(Self.list, policies, isRefunded: true) == nil)
        #expect(try run(Self.list, policies, isRefunded: true) == nil)
        #expect(try run(Self.list, policies) == .check)
        #expect(try run(Self.list, policies, at: 3600) == nil)
    }

    @Test("LimitStage: a limit on work is given back where no work began")
    func work() throws {
        let policies = try policies(##"all: { on: "*", per: "token", allow: "1/hour" }"##)
        #expect(try run(Self.trigger, policies, isRefunded: true) == nil)
        #expect(try run(Self.trigger, policies) == nil)
        // Without a body to save, a request is refused where it would be charged.
        #expect(try run(Self.list, policies) == .charge)
    }

    @Test("LimitStage: a request that a limit on work is bound to refuse is refused before its body is read")
    func look() throws {
        let policies = try policies(##"all: { on: "*", per: "token", allow: "1/hour" }"##)
        #expect(try run(Self.trigger, policies) == nil)
        #expect(try run(Self.trigger, policies) == .check)
    }

    @Test("LimitStage: requests after which four fifths of the burst are used are counted, and so are refused ones")
    func near() throws {
        for (mode, isEnforced) in [("enforce", true), ("observe", false)] {
            let name = "all-\(mode)"
            let policies = try policies(
                ##""\##(name)": { on: "*", per: "token", allow: "5/day", mode: "\##(mode)" }"##)
            for _ in 0..<7 { _ = try run(Self.list, policies) }
            var (near, exceeded) = ([CountedLimit: UInt64](), [CountedLimit: UInt64]())
            stage.counts.collect(nearLimits: &near)
            stage.counts.collect(limits: &exceeded)
            let limit = CountedLimit(name: name, isEnforced: isEnforced)
            #expect(near[limit] == 2 && exceeded[limit] == 2)
        }
    }

    @Test("LimitStage: a limit per connection is charged when the connection is known")
    func connection() throws {
        let policies = try policies(##"all: { on: "*", per: "connection", allow: "1/hour" }"##)
        #expect(try run(Self.trigger, policies) == nil)
        #expect(try run(Self.trigger, policies) == .charge)
    }
}
