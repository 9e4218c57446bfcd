import Synchronization
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Use of an endpoint")
struct EndpointTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private func endpoint(
        outAfter failures: Int, port: UInt16 = 1, ejectionLimit: EjectionLimit? = nil,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Endpoint {
        var settings = UpstreamSettings(endpoints: [])
        settings.breaker.consecutiveFailures = failures
        return Endpoint(
            url: UpstreamURL(isTLS: false, host: "127.0.0.1", port: port),
            address: SocketAddress(host: "127.0.0.1", port: port), settings: settings,
            ejectionLimit: ejectionLimit ?? EjectionLimit(),
            report: report)
    }

    @Test("Endpoint: an endpoint counts its requests, and takes a lock only while it has failures")
    func load() {
        let endpoint = self.endpoint(outAfter: 1)
        for _ in 0..<3 { endpoint.began() }
        #expect(endpoint.load == 3)
        endpoint.ended(.good(organization: 1), asProbe: false, now: Self.start)
        endpoint.ended(.unknown, asProbe: false, now: Self.start)
        #expect(endpoint.load == 1)
        #expect(endpoint.isHealthy)
        endpoint.ended(.unreachable(.connectionRefused), asProbe: false, now: Self.start)
        #expect(endpoint.load == 0)
        #expect(!endpoint.isHealthy)
        #expect(endpoint.admission(now: Self.start) == .refused)
        #expect(endpoint.admission(now: Self.start + .seconds(5)) == .probe)
        for _ in 0..<2 { endpoint.began() }
        endpoint.ended(.unknown, asProbe: false, now: Self.start)
        #expect(endpoint.admission(now: Self.start + .seconds(9)) == .refused)
        endpoint.ended(.good(organization: 1), asProbe: true, now: Self.start)
        #expect(endpoint.isHealthy)
        #expect(endpoint.opensAt == nil)
    }

    @Test("Endpoint: at most half of the endpoints are ejected, and statuses never eject the only one")
    func ejectionLimit() {
        let said = Mutex<[String]>([])
        for count in 1...5 {
            said.withLock { $0 = [] }
            let ejectionLimit = EjectionLimit()
            let endpoints = (0..<count).map { index in
                endpoint(outAfter: 1, port: UInt16(index + 1), ejectionLimit: ejectionLimit) { line in
                    said.withLock { $0.append(line) }
                }
            }
            ejectionLimit.hasOnly(endpoints)
            for round in 1...3 {
                for endpoint in endpoints {
                    endpoint.began()
                    endpoint.ended(
                        .refusing(status: 503, organization: UInt64(round)), asProbe: false, now: Self.start)
                }
            }
            #expect(endpoints.count(where: \.isEjected) == count / 2)
            for endpoint in endpoints {
                endpoint.began()
                endpoint.ended(.unreachable(.connectionRefused), asProbe: false, now: Self.start)
            }
            #expect(endpoints.count(where: \.isEjected) == max(1, count / 2))
            // One that is back makes room for one that fails.
            if let back = endpoints.first(where: \.isEjected), let next = endpoints.first(where: { !$0.isEjected }) {
                back.began()
                back.ended(.good(organization: 1), asProbe: false, now: Self.start)
                next.began()
                next.ended(.unreachable(.connectionRefused), asProbe: false, now: Self.start)
                #expect(!back.isEjected && next.isEjected)
                #expect(said.withLock { $0.contains { $0.hasSuffix("is readmitted") } })
            }
            #expect(
                said.withLock { $0 }.contains {
                    $0 == "upstream http://127.0.0.1:1 at 127.0.0.1:1 is ejected for 5.0 seconds: "
                        + (count == 1 ? "the connection was refused" : "it responds 503 to several organizations")
                })
        }
    }

    @Test("Endpoint: failures of one organization leave an endpoint in use that has served another")
    func served() {
        let endpoint = self.endpoint(outAfter: 3)
        func ended(_ outcome: Endpoint.Outcome, at seconds: Int = 0) {
            endpoint.began()
            endpoint.ended(outcome, asProbe: false, now: Self.start + .seconds(seconds))
        }
        for organization in [7, 1, 1, 1] as [UInt64] { ended(.good(organization: organization)) }
        for _ in 0..<20 { ended(.silent(.responseTimeout, organization: 1)) }
        #expect(!endpoint.isEjected)
        // Long after that nobody else is there any more.
        ended(.silent(.responseTimeout, organization: 1), at: 601)
        #expect(endpoint.isEjected)
    }

    @Test("Endpoint: good responses are counted only while there are failures")
    func counting() {
        let endpoint = self.endpoint(outAfter: 3)
        func ended(_ outcome: Endpoint.Outcome, at seconds: Int) {
            endpoint.began()
            endpoint.ended(outcome, asProbe: false, now: Self.start + .seconds(seconds))
        }
        ended(.good(organization: 1), at: 0)
        #expect(endpoint.successes == 0)
        ended(.refusing(status: 502, organization: 1), at: 1)
        #expect(endpoint.isHealthy)
        for second in 2...4 { ended(.good(organization: 1), at: second) }
        #expect(endpoint.successes == 3)
        for second in 12...20 { ended(.good(organization: 1), at: second) }
        #expect(endpoint.successes == 4)
    }
}
