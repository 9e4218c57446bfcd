import Testing

@testable import Gateway

@Suite("Access to the admin interface")
struct AdminAccessTests {
    private func refusal(_ host: String?, _ origins: [String] = []) -> AdminAccess.Refusal? {
        AdminAccess.refusal(host: host, origins: origins, names: ["gateway.monitoring"])
    }

    @Test(
        "AdminAccess: the host may be an address, localhost, or a name from the policies",
        arguments: [
            "127.0.0.1:8444", "127.0.0.1", "10.1.2.3:9101", "[::1]:8444", "[::1]", "localhost", "LOCALHOST:1",
            "gateway.monitoring:8444", "Gateway.Monitoring",
        ])
    func own(host: String) {
        #expect(refusal(host) == nil)
        #expect(refusal(host, ["http://\(host)"]) == nil)
    }

    @Test(
        "AdminAccess: another host name is refused, because its DNS record may be an attacker's",
        arguments: [
            "evil.example", "evil.example:8444", "localhost.evil.example", "127.0.0.1.evil.example", "", ":8444",
            "[::1",
            "[::1]evil", "[evil]", "127.0.0.1:8444:1", "127.0.0.1:evil", "127.1", "gateway", "monitoring",
        ])
    func foreign(host: String) {
        #expect(refusal(host) == .foreignHost)
    }

    @Test("AdminAccess: a page of another host gets nothing, whatever it asks for")
    func origins() {
        for origin in [
            "http://evil.example", "null", "https://127.0.0.1:8444", "http://127.0.0.1", "", "http://localhost:8444",
        ] {
            #expect(refusal("127.0.0.1:8444", [origin]) == .foreignOrigin)
        }
        #expect(refusal("127.0.0.1:8444", ["http://127.0.0.1:8444", "http://evil.example"]) == .foreignOrigin)
    }

    @Test("AdminAccess: a probe of HTTP/1.0 needs no Host")
    func noHost() {
        #expect(refusal(nil) == nil)
        #expect(refusal(nil, ["http://evil.example"]) == .foreignOrigin)
    }
}
