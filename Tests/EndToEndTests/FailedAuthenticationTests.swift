import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Failed authentications at the gateway")
    struct FailedAuthenticationTests {
        private static let setup = GatewaySetup(
            settings: #"failedAuthentications: { allow: "3/day" }, trustedProxies: ["127.0.0.0/8", "::1"],"#)

        private func get(_ client: TLSClient, _ credential: String?, from address: String) throws -> Answer {
            var fields = ["X-Forwarded-For: \(address)"]
            if let credential { fields.append("Authorization: Bearer \(credential)") }
            try client.send(
                (["GET \(Path.state) HTTP/1.1", "Host: localhost"] + fields).joined(separator: "\r\n") + "\r\n\r\n")
            return try client.answer()
        }

        @Test("Failed authentications: after some, an address gets 429; a valid credential always passes")
        func limited() async throws {
            try await withGateway(Self.setup) { gateway in
                let client = try TLSClient(gateway)
                let valid = TestPolicies.Token.full.text
                for _ in 0..<20 { #expect(try get(client, valid, from: "192.0.2.1").status == 200) }
                for _ in 0..<20 {
                    try get(client, nil, from: "192.0.2.1").expectError(401, "AUTHENTICATION_REQUIRED", closes: false)
                }
                for token in ["wrong", "", TestPolicies.Token.expired.text] {
                    #expect(try get(client, token, from: "192.0.2.1").status == 401)
                }
                let refused = try get(client, "wrong", from: "192.0.2.1")
                try refused.expectError(429, "TOO_MANY_FAILED_AUTHENTICATIONS", closes: false)
                #expect((refused["retry-after"].flatMap(Int.init) ?? 0) > 28_000)
                let policy = try refused.json("error", "details", "violated_policies")?.array?.first
                #expect(policy?["name"]?.string == "failed-authentications" && policy?["quota"]?.integer == 3)
                #expect(
                    try get(client, valid, from: "192.0.2.1").status == 200,
                    "others behind the address are not locked out")
                #expect(try get(client, "wrong", from: "192.0.2.2").status == 401)
                try waitUntil("the refusal is logged") { gateway.log.contains(#""limit":"failed-authentications""#) }
            }
        }

        @Test("Failed authentications: all addresses of an IPv6 network of 64 bits count together")
        func network() async throws {
            try await withGateway(Self.setup) { gateway in
                let client = try TLSClient(gateway)
                for host in 1...3 { #expect(try get(client, "wrong", from: "2001:db8::\(host)").status == 401) }
                #expect(try get(client, "wrong", from: "2001:db8::4").status == 429)
                #expect(try get(client, "wrong", from: "2001:db8:0:1::4").status == 401)
            }
        }
    }
}
