import Testing

@testable import Gateway
@testable import Policy

@Suite("Shares of the access log")
struct AccessLogSharesTests {
    private let rate = GatewaySettings.LogRate(count: 10, periodSeconds: 1)

    @Test(
        "AccessLogShares: a client that is refused again and again has a limited rate of lines, the rest is counted, and others are not affected"
    )
    func rates() {
        let shares = AccessLogShares()
        let now: UInt64 = 1_000_000_000
        let first = (0..<100).count { _ in shares.admits(nil, "192.0.2.1", rate, now: now) }
        #expect(first == 10)
        #expect(shares.admits(nil, "192.0.2.2", rate, now: now))
        #expect(shares.takeSuppressed() == [.init(organization: nil, client: "192.0.2.1", lines: 90)])
        #expect(shares.takeSuppressed().isEmpty)
        #expect(shares.admits(nil, "192.0.2.1", rate, now: now + 100_000_000))
        #expect(!shares.admits(nil, "192.0.2.1", rate, now: now + 100_000_000))
    }

    @Test(
        "AccessLogShares: any number of addresses has a bounded number of lines, takes none from an organization, and all is counted"
    )
    func flood() {
        let shares = AccessLogShares()
        var admitted = 0
        for high in 0..<200 {
            for low in 0..<250 where shares.admits(nil, "10.1.\(high).\(low)", rate, now: 5) { admitted += 1 }
        }
        #expect(admitted <= 1024 * 10)
        let organization = Organization(id: "org_a", plan: nil, limits: [])
        #expect((0..<20).count { _ in shares.admits(organization, "10.1.0.1", rate, now: 5) } == 10)
        let told = shares.takeSuppressed()
        #expect(told.reduce(0) { $0 + $1.lines } == 50_000 - admitted + 10)
        #expect(told.contains(.init(organization: "org_a", client: nil, lines: 10)))
    }

    @Test("AccessLogShares: an organization that fails without end takes no lines from another")
    func neighbours() {
        let shares = AccessLogShares()
        let loud = Organization(id: "org_loud", plan: nil, limits: [])
        for _ in 0..<1000 { _ = shares.admits(loud, "192.0.2.1", rate, now: 5) }
        for number in 0..<100 {
            #expect(shares.admits(Organization(id: "org_\(number)", plan: nil, limits: []), "192.0.2.1", rate, now: 5))
        }
    }

    @Test("AccessLogShares: the addresses of one IPv6 network of 64 bits are one client")
    func networks() {
        let shares = AccessLogShares()
        #expect((1...99).count { shares.admits(nil, "2001:db8::\($0)", rate, now: 5) } == 10)
        #expect(shares.admits(nil, "2001:db8:0:1::1", rate, now: 5))
    }

    @Test("AccessLogShares: the longest period and the greatest count overflow nothing")
    func extremes() {
        let shares = AccessLogShares()
        #expect(shares.admits(nil, "192.0.2.1", .init(count: 1, periodSeconds: 31 * 86_400), now: .max / 2))
        #expect(!shares.admits(nil, "192.0.2.1", .init(count: 1, periodSeconds: 31 * 86_400), now: .max / 2))
        #expect(shares.admits(nil, "192.0.2.2", .init(count: 1_000_000_000, periodSeconds: 1), now: 5))
        #expect(shares.admits(nil, "192.0.2.3", .init(count: 1_000_000_000, periodSeconds: 1), now: 5))
    }
}
