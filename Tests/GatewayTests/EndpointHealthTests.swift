import Synchronization
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("The health of an endpoint")
struct EndpointHealthTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private static func health(failures: Int = 3, checks: (healthy: Int, unhealthy: Int)? = nil) -> EndpointHealth {
        var breaker = UpstreamSettings.Breaker()
        breaker.failures = failures
        breaker.openFor = .seconds(5)
        var check: UpstreamSettings.HealthCheck?
        if let checks {
            check = UpstreamSettings.HealthCheck(path: "/healthz")
            check?.healthy = checks.healthy
            check?.unhealthy = checks.unhealthy
        }
        return EndpointHealth(breaker: breaker, check: check)
    }

    @Test("The breaker opens with the last of so many failures in a row, and a success in between begins anew")
    func opens() {
        var health = Self.health()
        #expect(health.isWell)
        for _ in 0..<2 { #expect(health.failed(now: Self.start) == nil) }
        #expect(!health.isWell)
        #expect(health.admission(now: Self.start) == .admitted)
        _ = health.succeeded()
        #expect(health.isWell)
        for _ in 0..<2 { #expect(health.failed(now: Self.start) == nil) }
        #expect(health.admission(now: Self.start) == .admitted)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.opensAt == Self.start + .seconds(5))
    }

    @Test("Once the time is over one request tries, and no other until that has ended")
    func trial() {
        var health = Self.health(failures: 1)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start + .milliseconds(4999)) == .refused)
        let later = Self.start + .seconds(5)
        #expect(health.admission(now: later) == .onTrial)
        #expect(health.admission(now: later) == .refused)
        // One that takes too long keeps no other from trying.
        #expect(health.admission(now: later + .milliseconds(4999)) == .refused)
        #expect(health.admission(now: later + .seconds(5)) == .onTrial)
        #expect(health.admission(now: later + .seconds(9)) == .refused)
        #expect(health.succeeded() == .back)
        #expect(health.isWell)
        #expect(health.admission(now: later) == .admitted)
    }

    @Test("Each failed try doubles the time, up to sixteen times")
    func doubling() {
        var health = Self.health(failures: 1)
        var now = Self.start
        _ = health.failed(now: now)
        for factor in [1, 2, 4, 8, 16, 16, 16] {
            let opensAt = now + .seconds(5 * factor)
            #expect(health.opensAt == opensAt)
            #expect(health.admission(now: Instant(nanoseconds: opensAt.nanoseconds - 1)) == .refused)
            now = opensAt
            #expect(health.admission(now: now) == .onTrial)
            _ = health.failed(onTrial: true, now: now)
        }
        now = now + .seconds(80)
        #expect(health.admission(now: now) == .onTrial)
        _ = health.succeeded()
        // After a success it is short again.
        _ = health.failed(now: now)
        #expect(health.opensAt == now + .seconds(5))
    }

    @Test("A try that told nothing is made again at once")
    func abandoned() {
        var health = Self.health(failures: 1)
        health.trialAbandoned(now: Self.start)
        #expect(health.isWell)
        _ = health.failed(now: Self.start)
        let opensAt = health.opensAt
        health.trialAbandoned(now: Self.start)
        #expect(health.opensAt == opensAt)
        let later = Self.start + .seconds(5)
        #expect(health.admission(now: later) == .onTrial)
        health.trialAbandoned(now: later)
        #expect(health.admission(now: later) == .onTrial)
        _ = health.failed(onTrial: true, now: later)
        #expect(health.opensAt == later + .seconds(10))
    }

    @Test("A failure of a request from before does not make an open breaker stay open for longer")
    func lateFailure() {
        var health = Self.health(failures: 1)
        _ = health.failed(now: Self.start)
        _ = health.failed(now: Self.start + .seconds(4))
        #expect(health.opensAt == Self.start + .seconds(5))
        // Nor does it end the try of another one.
        #expect(health.admission(now: Self.start + .seconds(5)) == .onTrial)
        _ = health.failed(now: Self.start + .seconds(6))
        #expect(health.opensAt == nil)
        #expect(health.admission(now: Self.start + .seconds(9)) == .refused)
        _ = health.succeeded()
        #expect(health.isWell)
    }

    @Test("So many bad checks take it out, so many good ones bring it back, and each tells of it once")
    func checks() {
        var health = Self.health(checks: (healthy: 2, unhealthy: 3))
        let bad = (0..<4).map { _ in health.checked(isGood: false) }
        #expect(bad == [false, false, true, false])
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.opensAt == nil)
        let good = (0..<3).map { _ in health.checked(isGood: true) }
        #expect(good == [false, true, false])
        #expect(health.admission(now: Self.start) == .admitted)
        #expect(health.isWell)
        // Not in a row.
        for isGood in [false, false, true, false, false, true] {
            let hasChanged = health.checked(isGood: isGood)
            #expect(!hasChanged)
        }
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("Requests do not bring back what the checks have taken out")
    func checkedOut() {
        var health = Self.health(failures: 1, checks: (healthy: 1, unhealthy: 1))
        #expect(health.checked(isGood: false) == true)
        _ = health.succeeded()
        #expect(health.admission(now: Self.start) == .refused)
        _ = health.failed(now: Self.start)
        #expect(health.admission(now: Self.start + .seconds(100)) == .refused)
        // The checks close the breaker as well.
        #expect(health.checked(isGood: true) == true)
        #expect(health.isWell)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("Good checks from before the breaker opened do not close it")
    func oldChecks() {
        var health = Self.health(failures: 1, checks: (healthy: 2, unhealthy: 3))
        for _ in 0..<10 { #expect(health.checked(isGood: true) == false) }
        _ = health.failed(now: Self.start)
        #expect(health.checked(isGood: true) == false)
        #expect(health.admission(now: Self.start) == .refused)
        #expect(health.checked(isGood: true) == true)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("Without checks their answers mean nothing")
    func unchecked() {
        var health = Self.health()
        for _ in 0..<100 { #expect(health.checked(isGood: false) == false) }
        #expect(health.isWell)
    }

    @Test("An endpoint counts what is under way and takes a lock only while it is in trouble")
    func endpoint() {
        var settings = UpstreamSettings(endpoints: [])
        settings.breaker.failures = 1
        let url = UpstreamURL(isTLS: false, host: "127.0.0.1", port: 1)
        let endpoint = Endpoint(url: url, address: SocketAddress(host: "127.0.0.1", port: 1), settings: settings)
        for _ in 0..<3 { endpoint.began() }
        #expect(endpoint.load == 3)
        endpoint.ended(.good(organization: 1), onTrial: false, now: Self.start)
        endpoint.ended(.unknown, onTrial: false, now: Self.start)
        #expect(endpoint.load == 1)
        #expect(endpoint.isWell)
        endpoint.ended(.unreachable(.connectionRefused), onTrial: false, now: Self.start)
        #expect(endpoint.load == 0)
        #expect(!endpoint.isWell)
        #expect(endpoint.admission(now: Self.start) == .refused)
        #expect(endpoint.admission(now: Self.start + .seconds(5)) == .onTrial)
        for _ in 0..<2 { endpoint.began() }
        endpoint.ended(.unknown, onTrial: false, now: Self.start)
        #expect(endpoint.admission(now: Self.start + .seconds(9)) == .refused)
        endpoint.ended(.good(organization: 1), onTrial: true, now: Self.start)
        #expect(endpoint.isWell)
        #expect(endpoint.opensAt == nil)
    }
}

extension EndpointHealth {
    fileprivate mutating func failed(onTrial isTrial: Bool = false, now: Instant) -> Change? {
        wasUnreachable(.connectionRefused, onTrial: isTrial, now: now) { _ in true }
    }
}

@Suite("What proves that an endpoint is not well")
struct EndpointProofTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private var health: EndpointHealth {
        var breaker = UpstreamSettings.Breaker()
        breaker.failures = 5
        breaker.openFor = .seconds(5)
        return EndpointHealth(breaker: breaker, check: nil)
    }

    /// Reports one status, and says whether that put the endpoint out.
    private func status(
        _ health: inout EndpointHealth, _ organization: UInt64, good: Int = 0, at seconds: Int = 0,
        onTrial isTrial: Bool = false, mayLeave: Bool = true
    ) -> EndpointHealth.Change? {
        health.answered(
            status: 503, to: organization, good: good, onTrial: isTrial, now: Self.start + .seconds(seconds)
        ) { _ in mayLeave }
    }

    private func silence(
        _ health: inout EndpointHealth, _ organization: UInt64, servesOthers: Bool
    ) -> EndpointHealth.Change? {
        health.gaveNoAnswer(.answerTimeout, to: organization, now: Self.start) { _ in
            servesOthers
        } mayLeave: { _ in
            true
        }
    }

    @Test("Statuses of two organizations, and of whoever asks without a token, never put an endpoint out")
    func oneSided() {
        var health = health
        for index in 0..<10_000 {
            #expect(status(&health, UInt64(index % 3)) == nil)
        }
        #expect(health.isWell && !health.isOut)
        #expect(health.admission(now: Self.start) == .admitted)
    }

    @Test("Statuses of three organizations do, once there are enough and they are half of the answers")
    func severalOrganizations() {
        var health = health
        for organization in [1, 2, 3, 1] as [UInt64] { #expect(status(&health, organization, good: 100) == nil) }
        // The good answers are counted from the first status on.
        #expect(status(&health, 2, good: 106) == nil)
        #expect(status(&health, 2, good: 106) == .out(.seconds(5), .status(503), isTrial: false))
        #expect(health.isOut)
    }

    @Test("Statuses that came long ago do not count")
    func window() {
        var health = health
        for organization in [1, 2, 3, 4] as [UInt64] { _ = status(&health, organization) }
        #expect(health.countsUntil == Self.start + .seconds(10))
        for organization in [1, 2, 3, 4] as [UInt64] { #expect(status(&health, organization, at: 10) == nil) }
        health.forgetStatuses(now: Self.start + .seconds(20))
        #expect(health.countsUntil == nil)
        #expect(health.isWell)
    }

    @Test("Without room statuses change nothing")
    func noRoom() {
        var health = health
        for index in 0..<100 { #expect(status(&health, UInt64(index), mayLeave: false) == nil) }
        #expect(health.isWell)
    }

    @Test("A status shows that what did not answer is there again, but not that what answered so is well")
    func trials() {
        var health = health
        for _ in 0..<5 { _ = health.failed(now: Self.start) }
        #expect(health.admission(now: Self.start + .seconds(5)) == .onTrial)
        #expect(status(&health, 1, at: 5, onTrial: true) == .back)
        for organization in [1, 2, 3, 4, 5] as [UInt64] { _ = status(&health, organization, at: 6) }
        #expect(health.isOut)
        #expect(health.admission(now: Self.start + .seconds(11)) == .onTrial)
        #expect(status(&health, 1, at: 11, onTrial: true) == .out(.seconds(10), .status(503), isTrial: true))
    }

    @Test("Requests of one organization that get no answer prove nothing while others are served")
    func silence() {
        var health = health
        for _ in 0..<100 { #expect(silence(&health, 1, servesOthers: true) == nil) }
        #expect(!health.isOut && !health.isWell)
        #expect(silence(&health, 2, servesOthers: true) == nil)
        #expect(silence(&health, 0, servesOthers: true) == nil, "who has no token is no organization")
        #expect(
            silence(&health, 3, servesOthers: true) == .out(.seconds(5), .unanswered(.answerTimeout), isTrial: false))
    }

    @Test("Whoever asks without a token is not one of those that are served")
    func nobodyServed() {
        let served = ServedOrganizations()
        served.note(0, now: Self.start)
        let hasNobody = !served.hasOthers(than: FewOrganizations(), now: Self.start)
        #expect(hasNobody)
        served.note(7, now: Self.start)
        let hasOne = served.hasOthers(than: FewOrganizations(), now: Self.start)
        #expect(hasOne)
    }

    @Test("They do where nobody else was served")
    func silenceForAll() {
        var health = health
        for _ in 0..<4 { #expect(silence(&health, 1, servesOthers: false) == nil) }
        #expect(
            silence(&health, 1, servesOthers: false) == .out(.seconds(5), .unanswered(.answerTimeout), isTrial: false))
    }

    @Test("What may not leave is told once, and leaves when it may")
    func kept() {
        var health = health
        for _ in 0..<4 { _ = health.failed(now: Self.start) }
        func fail(_ mayLeave: Bool) -> EndpointHealth.Change? {
            health.wasUnreachable(.connectionRefused, now: Self.start) { _ in mayLeave }
        }
        #expect(fail(false) == .kept(.unreachable(.connectionRefused)))
        #expect(fail(false) == nil)
        #expect(health.admission(now: Self.start) == .admitted)
        #expect(fail(true) == .out(.seconds(5), .unreachable(.connectionRefused), isTrial: false))
    }

    @Test("The only one left is tried after the shortest time, however often it failed")
    func needed() {
        var health = health
        var now = Self.start
        for _ in 0..<5 { _ = health.failed(now: now) }
        for _ in 0..<4 {
            now = now + .seconds(5)
            #expect(health.admission(now: Instant(nanoseconds: now.nanoseconds - 1), isNeeded: true) == .refused)
            #expect(health.admission(now: now, isNeeded: true) == .onTrial)
            _ = health.failed(onTrial: true, now: now)
        }
        #expect(health.admission(now: now + .seconds(79)) == .refused)
    }

    @Test("At most half of the endpoints are out, and statuses never take the only one")
    func room() {
        var settings = UpstreamSettings(endpoints: [])
        settings.breaker.failures = 1
        let said = Mutex<[String]>([])
        for count in 1...5 {
            said.withLock { $0 = [] }
            let room = EndpointRoom()
            let endpoints = (0..<count).map { index in
                let port = UInt16(index + 1)
                return Endpoint(
                    url: UpstreamURL(isTLS: false, host: "127.0.0.1", port: port),
                    address: SocketAddress(host: "127.0.0.1", port: port), settings: settings, room: room
                ) { line in said.withLock { $0.append(line) } }
            }
            room.hasOnly(endpoints)
            for round in 1...3 {
                for endpoint in endpoints {
                    endpoint.began()
                    endpoint.ended(
                        .refusing(status: 503, organization: UInt64(round)), onTrial: false, now: Self.start)
                }
            }
            #expect(endpoints.count(where: \.isOut) == count / 2)
            for endpoint in endpoints {
                endpoint.began()
                endpoint.ended(.unreachable(.connectionRefused), onTrial: false, now: Self.start)
            }
            #expect(endpoints.count(where: \.isOut) == max(1, count / 2))
            // One that is back makes room for one that fails.
            if let back = endpoints.first(where: \.isOut), let next = endpoints.first(where: { !$0.isOut }) {
                back.began()
                back.ended(.good(organization: 1), onTrial: false, now: Self.start)
                next.began()
                next.ended(.unreachable(.connectionRefused), onTrial: false, now: Self.start)
                #expect(!back.isOut && next.isOut)
                #expect(said.withLock { $0.contains { $0.hasSuffix("is in use again") } })
            }
            #expect(
                said.withLock { $0 }.contains {
                    $0 == "upstream http://127.0.0.1:1 at 127.0.0.1:1 is out for 5.0 seconds: "
                        + (count == 1 ? "the connection was refused" : "it answers 503 to several organizations")
                })
        }
    }

    @Test("One organization's silence leaves an endpoint in use that has served another one")
    func served() {
        var settings = UpstreamSettings(endpoints: [])
        settings.breaker.failures = 3
        let url = UpstreamURL(isTLS: false, host: "127.0.0.1", port: 1)
        let endpoint = Endpoint(url: url, address: SocketAddress(host: "127.0.0.1", port: 1), settings: settings)
        func ended(_ outcome: Endpoint.Outcome, at seconds: Int = 0) {
            endpoint.began()
            endpoint.ended(outcome, onTrial: false, now: Self.start + .seconds(seconds))
        }
        for organization in [7, 1, 1, 1] as [UInt64] { ended(.good(organization: organization)) }
        for _ in 0..<20 { ended(.unanswered(.answerTimeout, organization: 1)) }
        #expect(!endpoint.isOut)
        // Long after that nobody else is there any more.
        ended(.unanswered(.answerTimeout, organization: 1), at: 601)
        #expect(endpoint.isOut)
    }

    @Test("Good answers are counted only while some are none")
    func counting() {
        var settings = UpstreamSettings(endpoints: [])
        settings.breaker.failures = 3
        let url = UpstreamURL(isTLS: false, host: "127.0.0.1", port: 1)
        let endpoint = Endpoint(url: url, address: SocketAddress(host: "127.0.0.1", port: 1), settings: settings)
        func ended(_ outcome: Endpoint.Outcome, at seconds: Int) {
            endpoint.began()
            endpoint.ended(outcome, onTrial: false, now: Self.start + .seconds(seconds))
        }
        ended(.good(organization: 1), at: 0)
        #expect(endpoint.goodAnswers == 0)
        ended(.refusing(status: 502, organization: 1), at: 1)
        #expect(endpoint.isWell)
        for second in 2...4 { ended(.good(organization: 1), at: second) }
        #expect(endpoint.goodAnswers == 3)
        for second in 12...20 { ended(.good(organization: 1), at: second) }
        #expect(endpoint.goodAnswers == 4)
    }
}

@Suite("The budget of retries")
struct RetryBudgetTests {
    private func budget(percent: Int, least: Int) -> RetryBudget {
        var settings = UpstreamSettings.Retries()
        settings.percent = percent
        settings.least = least
        return RetryBudget(settings)
    }

    private func count(_ budget: inout RetryBudget, now: Instant) -> Int {
        var count = 0
        while budget.take(now: now) { count += 1 }
        return count
    }

    private func second(_ second: UInt64) -> Instant { Instant(nanoseconds: second * 1_000_000_000) }

    @Test("Without traffic there are so many per second, counted over ten of them")
    func least() {
        var budget = budget(percent: 20, least: 3)
        #expect(count(&budget, now: second(100)) == 30)
        #expect(count(&budget, now: second(109)) == 0)
        #expect(count(&budget, now: second(110)) == 30)
    }

    @Test("With traffic there is a share of it, whichever is more")
    func share() {
        var budget = budget(percent: 20, least: 1)
        for _ in 0..<49 { budget.requestBegan(now: second(100)) }
        #expect(count(&budget, now: second(100)) == 10)
        for _ in 0..<951 { budget.requestBegan(now: second(105)) }
        #expect(count(&budget, now: second(109)) == 190)
        #expect(count(&budget, now: second(110)) == 10)
    }

    @Test("Both can be nothing: no request is then sent twice")
    func none() {
        var budget = budget(percent: 0, least: 0)
        for _ in 0..<1000 { budget.requestBegan(now: second(100)) }
        #expect(count(&budget, now: second(100)) == 0)
    }
}
