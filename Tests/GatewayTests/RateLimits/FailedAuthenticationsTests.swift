import Policy
import Testing

@testable import Gateway

private let second: UInt64 = 1_000_000_000
private let start: UInt64 = 1_000 * second

@Suite("Failed authentications")
struct FailedAuthenticationsTests {
    private let limit = GatewaySettings.FailureLimit(count: 60, periodSeconds: 60, burst: 3)

    private func isRefused(_ client: String, by failures: FailedAuthentications, at now: UInt64 = start) -> Bool {
        failures.charge(client, limit, now: now) != nil
    }

    @Test("Failed authentications: each address has its own number, and gets it back with time")
    func addresses() {
        let failures = FailedAuthentications()
        for _ in 0..<3 { #expect(!isRefused("192.0.2.1", by: failures)) }
        #expect(isRefused("192.0.2.1", by: failures))
        #expect(!isRefused("192.0.2.2", by: failures))
        #expect(!isRefused("192.0.2.1", by: failures, at: start + second))
        #expect(isRefused("192.0.2.1", by: failures, at: start + second))
    }

    @Test("Failed authentications: the addresses of one /64 are one, and a mapped IPv4 address is that address")
    func networks() {
        let failures = FailedAuthentications()
        for host in 0..<3 { #expect(!isRefused("2001:db8:0:1::\(host)", by: failures)) }
        #expect(isRefused("2001:db8:0:1:ffff::1", by: failures))
        #expect(!isRefused("2001:db8:0:2::1", by: failures))
        for _ in 0..<3 { #expect(!isRefused("192.0.2.1", by: failures)) }
        #expect(isRefused("::ffff:192.0.2.1", by: failures))
    }

    @Test("Failed authentications: a flood of addresses stays in its memory and frees nobody who is refused")
    func flood() {
        let failures = FailedAuthentications(maximumAddresses: 1024)
        for _ in 0..<4 { _ = isRefused("192.0.2.1", by: failures) }
        for number in 0..<20_000 {
            _ = isRefused("10.\(number >> 16).\(number >> 8 & 255).\(number & 255)", by: failures)
        }
        #expect(isRefused("192.0.2.1", by: failures))
        #expect(failures.usage().buckets <= 1024)
    }
}
