import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Health of an endpoint")
struct CircuitBreakerTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private static func health(failures: Int = 3, checks: (healthy: Int, unhealthy: Int)? = nil) -> CircuitBreaker {
        var breaker = UpstreamSettings.Breaker()
        breaker.consecutiveFailures = failures
        breaker.openFor = .seconds(5)
        var check: UpstreamSettings.HealthCheck?
        if let checks {
            check = UpstreamSettings.HealthCheck(path: "/healthz")
            check?.healthy = checks.healthy
            check?.unhealthy = checks.unhealthy
        }
        return CircuitBreaker(breaker: breaker, check: check)
    }

    @Test(
        "CircuitBreaker: the breaker opens after enough failures in a row, and a success in between resets the count"
    )
    func opens() {
        var health = Self.health()
        #expect(health.isHealthy)
        for _ in 0..<2 { #expect(health.failed(now: Self.start) == nil) }
        #expect(!health.isHealthy)
        #expect(health.admission(now: Self.start) == .admitted)
        _ = health.succeeded()
        #expect(health.isHealthy)
        for _ in 0..<2 { #expect(health.failed(now: Self.start) == nil) }
        #expect(health.admission(now: Self.start) == .admitted)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.opensAt() == Self.start + .seconds(5))
    }

    @Test("CircuitBreaker: when the time is over one request is the probe, and no other is sent until it has ended")
    func trial() {
        var health = Self.health(failures: 1)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start + .milliseconds(4999)) == .refused)
        let later = Self.start + .seconds(5)
        #expect(health.admission(now: later) == .probe)
        #expect(health.admission(now: later) == .refused)
        // One that takes too long keeps no other from trying.
        #expect(health.admission(now: later + .milliseconds(4999)) == .refused)
        #expect(health.admission(now: later + .seconds(5)) == .probe)
        #expect(health.admission(now: later + .seconds(9)) == .refused)
        #expect(health.succeeded() == .readmitted)
        #expect(health.isHealthy)
        #expect(health.admission(now: later) == .admitted)
    }

    @Test("CircuitBreaker: each failed probe doubles the time, up to sixteen times the first")
    func doubling() {
        var health = Self.health(failures: 1)
        var now = Self.start
        _ = health.failed(now: now)
        for factor in [1, 2, 4, 8, 16, 16, 16] {
            let opensAt = now + .seconds(5 * factor)
            #expect(health.opensAt() == opensAt)
            #expect(health.admission(now: Instant(nanoseconds: opensAt.nanoseconds - 1)) == .refused)
            now = opensAt
            #expect(health.admission(now: now) == .probe)
            _ = health.failed(asProbe: true, now: now)
        }
        now = now + .seconds(80)
        #expect(health.admission(now: now) == .probe)
        _ = health.succeeded()
        // After a success it is short again.
        _ = health.failed(now: now)
        #expect(health.opensAt() == now + .seconds(5))
    }

    @Test("CircuitBreaker: a probe without a result is repeated at once")
    func abandoned() {
        var health = Self.health(failures: 1)
        health.probeAbandoned(now: Self.start)
        #expect(health.isHealthy)
        _ = health.failed(now: Self.start)
        let opensAt = health.opensAt()
        health.probeAbandoned(now: Self.start)
        #expect(health.opensAt() == opensAt)
        let later = Self.start + .seconds(5)
        #expect(health.admission(now: later) == .probe)
        health.probeAbandoned(now: later)
        #expect(health.admission(now: later) == .probe)
        _ = health.failed(asProbe: true, now: later)
        #expect(health.opensAt() == later + .seconds(10))
    }

    @Test("CircuitBreaker: the failure of an earlier request does not keep an open breaker open for longer")
    func lateFailure() {
        var health = Self.health(failures: 1)
        _ = health.failed(now: Self.start)
        _ = health.failed(now: Self.start + .seconds(4))
        #expect(health.opensAt() == Self.start + .seconds(5))
        // Nor does it end the try of another one.
        #expect(health.admission(now: Self.start + .seconds(5)) == .probe)
        _ = health.failed(now: Self.start + .seconds(6))
        #expect(health.opensAt() == nil, "one finds out")
        #expect(health.admission(now: Self.start + .seconds(9)) == .refused)
        _ = health.succeeded()
        #expect(health.isHealthy)
    }

    @Test("CircuitBreaker: enough failed checks eject, enough good ones readmit, and each change is reported once")
    func checks() {
        var health = Self.health(checks: (healthy: 2, unhealthy: 3))
        let bad = (0..<4).map { _ in health.checked(isGood: false) }
        #expect(bad == [false, false, true, false])
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.opensAt() == nil)
        let good = (0..<3).map { _ in health.checked(isGood: true) }
        #expect(good == [false, true, false])
        #expect(health.admission(now: Self.start) == .admitted)
        #expect(health.isHealthy)
        // Not in a row.
        for isGood in [false, false, true, false, false, true] {
            let hasChanged = health.checked(isGood: isGood)
            #expect(!hasChanged)
        }
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("CircuitBreaker: requests do not readmit an endpoint that checks have ejected")
    func checkedOut() {
        var health = Self.health(failures: 1, checks: (healthy: 1, unhealthy: 1))
        #expect(health.checked(isGood: false) == true)
        _ = health.succeeded()
        #expect(health.admission(now: Self.start) == .refused)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start + .seconds(100)) == .refused)
        // The checks close the breaker as well.
        #expect(health.checked(isGood: true) == true)
        #expect(health.isHealthy)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("CircuitBreaker: good checks that began before the breaker opened do not close it")
    func oldChecks() {
        var health = Self.health(failures: 1, checks: (healthy: 2, unhealthy: 3))
        for _ in 0..<10 { #expect(health.checked(isGood: true) == false) }
        _ = health.failed(now: Self.start)
        #expect(health.checked(isGood: true) == false)
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.checked(isGood: true) == true)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("CircuitBreaker: without configured checks their results are ignored")
    func unchecked() {
        var health = Self.health()
        for _ in 0..<100 { #expect(health.checked(isGood: false) == false) }
        #expect(health.isHealthy)
    }
}

extension CircuitBreaker {
    mutating func failed(asProbe isProbe: Bool = false, now: Instant) -> Change? {
        wasUnreachable(.connectionRefused, asProbe: isProbe, now: now) { _ in true }
    }
}
