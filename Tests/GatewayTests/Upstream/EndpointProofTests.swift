import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("What proves that an endpoint is unhealthy")
struct EndpointProofTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private var health: CircuitBreaker {
        var breaker = UpstreamSettings.Breaker()
        breaker.consecutiveFailures = 5
        breaker.openFor = .seconds(5)
        return CircuitBreaker(breaker: breaker, check: nil)
    }

    /// Reports one status, and says whether that put the endpoint out.
    private func status(
        _ health: inout CircuitBreaker, _ organization: UInt64, good: Int = 0, at seconds: Int = 0,
        asProbe isProbe: Bool = false, mayEject: Bool = true
    ) -> CircuitBreaker.Change? {
        health.responded(
            status: 503, to: organization, good: good, asProbe: isProbe, now: Self.start + .seconds(seconds)
        ) { _ in mayEject }
    }

    private func silence(
        _ health: inout CircuitBreaker, _ organization: UInt64, servesOthers: Bool
    ) -> CircuitBreaker.Change? {
        health.didNotRespond(.responseTimeout, to: organization, now: Self.start) { _ in
            servesOthers
        } mayEject: { _ in
            true
        }
    }

    @Test(
        "Endpoint health: statuses of two organizations, and of callers without a token, never eject an endpoint"
    )
    func oneSided() {
        var health = health
        for index in 0..<10_000 {
            #expect(status(&health, UInt64(index % 3)) == nil)
        }
        #expect(health.isHealthy && !health.isEjected)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test(
        "Endpoint health: statuses of three organizations eject an endpoint, once they are enough and half of its responses"
    )
    func severalOrganizations() {
        var health = health
        for organization in [1, 2, 3, 1] as [UInt64] { #expect(status(&health, organization, good: 100) == nil) }
        // The good answers are counted from the first status on.
        #expect(status(&health, 2, good: 106) == nil)
        #expect(status(&health, 2, good: 106) == .ejected(.seconds(5), .status(503), isProbe: false))
        #expect(health.isEjected)
    }

    @Test("Endpoint health: statuses that came long ago do not count")
    func window() {
        var health = health
        for organization in [1, 2, 3, 4] as [UInt64] { _ = status(&health, organization) }
        #expect(health.countsUntil == Self.start + .seconds(10))
        for organization in [1, 2, 3, 4] as [UInt64] { #expect(status(&health, organization, at: 10) == nil) }
        health.forgetStatuses(now: Self.start + .seconds(20))
        #expect(health.countsUntil == nil)
        #expect(health.isHealthy)
    }

    @Test("Endpoint health: statuses change nothing if no endpoint may be ejected")
    func noRoom() {
        var health = health
        for index in 0..<100 { #expect(status(&health, UInt64(index), mayEject: false) == nil) }
        #expect(health.isHealthy)
    }

    @Test(
        "Endpoint health: a 5xx proves that a silent endpoint responds again, but not that an endpoint with such statuses is healthy"
    )
    func trials() {
        var health = health
        for _ in 0..<5 { _ = health.failed(now: Self.start) }
        #expect(health.admission(now: Self.start + .seconds(5)) == .probe)
        #expect(status(&health, 1, at: 5, asProbe: true) == .readmitted)
        for organization in [1, 2, 3, 4, 5] as [UInt64] { _ = status(&health, organization, at: 6) }
        #expect(health.isEjected)
        #expect(health.admission(now: Self.start + .seconds(11)) == .probe)
        #expect(status(&health, 1, at: 11, asProbe: true) == .ejected(.seconds(10), .status(503), isProbe: true))
    }

    @Test("Endpoint health: requests of one organization without a response prove nothing while others are served")
    func silence() {
        var health = health
        for _ in 0..<100 { #expect(silence(&health, 1, servesOthers: true) == nil) }
        #expect(!health.isEjected && !health.isHealthy)
        #expect(silence(&health, 2, servesOthers: true) == nil)
        #expect(silence(&health, 0, servesOthers: true) == nil, "who has no token is no organization")
        #expect(
            silence(&health, 3, servesOthers: true) == .ejected(.seconds(5), .silent(.responseTimeout), isProbe: false))
    }

    @Test("Endpoint health: a caller without a token does not count as a served organization")
    func nobodyServed() {
        let served = ServedOrganizations()
        served.record(0, now: Self.start)
        let hasNobody = !served.hasOthers(than: FirstOrganizations(), now: Self.start)
        #expect(hasNobody)
        served.record(7, now: Self.start)
        let hasOne = served.hasOthers(than: FirstOrganizations(), now: Self.start)
        #expect(hasOne)
    }

    @Test("Endpoint health: requests of one organization without a response eject an endpoint that served no other")
    func silenceForAll() {
        var health = health
        for _ in 0..<4 { #expect(silence(&health, 1, servesOthers: false) == nil) }
        #expect(
            silence(&health, 1, servesOthers: false) == .ejected(.seconds(5), .silent(.responseTimeout), isProbe: false)
        )
    }

    @Test("Endpoint health: an endpoint that may not be ejected is reported once, and is ejected when it may be")
    func kept() {
        var health = health
        for _ in 0..<4 { _ = health.failed(now: Self.start) }
        func fail(_ mayEject: Bool) -> CircuitBreaker.Change? {
            health.wasUnreachable(.connectionRefused, now: Self.start) { _ in mayEject }
        }
        #expect(fail(false) == .keptInUse(.unreachable(.connectionRefused)))
        #expect(fail(false) == nil)
        #expect(health.admission(now: Self.start) == .admitted)
        #expect(fail(true) == .ejected(.seconds(5), .unreachable(.connectionRefused), isProbe: false))
    }

    @Test("Endpoint health: the only endpoint left is probed after the shortest time, however often it failed")
    func needed() {
        var health = health
        var now = Self.start
        for _ in 0..<5 { _ = health.failed(now: now) }
        for _ in 0..<4 {
            now = now + .seconds(5)
            #expect(health.admission(now: Instant(nanoseconds: now.nanoseconds - 1), isNeeded: true) == .refused)
            #expect(health.admission(now: now, isNeeded: true) == .probe)
            _ = health.failed(asProbe: true, now: now)
        }
        #expect(health.admission(now: now + .seconds(79)) == .refused)
    }
}
