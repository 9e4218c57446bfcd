import Policy
import Testing

@Suite("The remote upstream")
struct UpstreamSettingsTests {
    private func settings(_ gateway: String) throws -> GatewaySettings {
        try policySet(
            """
            { gateway: { \(gateway) }, routes: { a: { match: "GET /", public: true } } }
            """
        ).settings
    }

    @Test("UpstreamSettings: without a block there is none, and a URL is enough for one")
    func defaults() throws {
        #expect(try settings("").upstream == nil)
        #expect(try settings("").trustedProxies == [])
        let found = try settings("upstream: { url: \"http://a\" }").upstream
        #expect(found == UpstreamSettings(endpoints: [UpstreamURL(isTLS: false, host: "a", port: 80)]))
    }

    @Test("UpstreamSettings: every field arrives")
    func whole() throws {
        let found = try settings(
            """
            upstream: {
              url: ["https://Connectors.Internal:8443/api/v2", "http://10.0.0.7", "https://[2001:DB8:0::1]"],
              host: "API.example.com:443",
              credential: { header: "Authorization", secretFile: "secrets/upstream" },
              ownCredential: { header: "x-api-key", secretFile: "/own" },
              tls: { authorities: "ca.pem", serverName: "Real.example", certificate: "c.pem", key: "c.key" },
              timeouts: { connect: "1ms", responseHead: "2ms", bodyProgress: "3ms", total: "18ms", idle: "4ms", queue: "5ms" },
              connections: { inFlight: 6, queue: 7, idle: 8 },
              dnsRefresh: "9s",
              health: { path: "/h?x", interval: "10s", timeout: "11s", healthy: 12, unhealthy: 13 },
              breaker: { consecutiveFailures: 14, openFor: "15s" },
              retryBudget: { percent: 16, minPerSecond: 17 },
              errors: "show",
            }
            """
        ).upstream
        var expected = UpstreamSettings(endpoints: [
            UpstreamURL(isTLS: true, host: "connectors.internal", port: 8443, base: "/api/v2"),
            UpstreamURL(isTLS: false, host: "10.0.0.7", port: 80),
            UpstreamURL(isTLS: true, host: "2001:db8::1", port: 443),
        ])
        expected.host = .named("api.example.com:443")
        expected.credential = .secret(
            .init(header: "Authorization", file: "secrets/upstream", source: "policies/0.json5:4:15"))
        expected.ownCredential = .secret(.init(header: "x-api-key", file: "/own", source: "policies/0.json5:5:18"))
        expected.tls.authorities = "ca.pem"
        expected.tls.serverName = "real.example"
        expected.tls.clientCertificate = .init(certificate: "c.pem", key: "c.key", source: "policies/0.json5:6:8")
        expected.timeouts.connect = .milliseconds(1)
        expected.timeouts.responseHead = .milliseconds(2)
        expected.timeouts.bodyProgress = .milliseconds(3)
        expected.timeouts.total = .milliseconds(18)
        expected.timeouts.idle = .milliseconds(4)
        expected.timeouts.queue = .milliseconds(5)
        expected.connections.inFlight = 6
        expected.connections.queue = 7
        expected.connections.idle = 8
        expected.dnsRefresh = .seconds(9)
        expected.health = .init(path: "/h?x")
        expected.health?.interval = .seconds(10)
        expected.health?.timeout = .seconds(11)
        expected.health?.healthy = 12
        expected.health?.unhealthy = 13
        expected.breaker.consecutiveFailures = 14
        expected.breaker.openFor = .seconds(15)
        expected.retryBudget.percent = 16
        expected.retryBudget.minPerSecond = 17
        expected.showsOriginalError = true
        #expect(found == expected)
        #expect(
            found?.endpoints.map(\.description) == [
                "https://connectors.internal:8443/api/v2", "http://10.0.0.7", "https://[2001:db8::1]",
            ])
    }

    @Test("UpstreamSettings: named values have their meaning")
    func words() throws {
        let url = "url: \"http://a\""
        #expect(try settings("upstream: { \(url), host: \"client\" }").upstream?.host == .client)
        #expect(try settings("upstream: { \(url), host: \"upstream\" }").upstream?.host == .upstream)
        #expect(try settings("upstream: { \(url), host: \"[::1]\" }").upstream?.host == .named("[::1]"))
        #expect(try settings("upstream: { \(url), credential: \"strip\" }").upstream?.credential == .strip)
        #expect(try settings("upstream: { \(url), credential: \"pass\" }").upstream?.credential == .pass)
        #expect(try settings("upstream: { \(url), errors: \"hide\" }").upstream?.showsOriginalError == false)
    }

    @Test(
        "UpstreamSettings: a finding never shows what may be a secret",
        arguments: [
            "url: \"http://gateway:SECRET@a\"", "url: [\"http://SECRET@a\", \"http://SECRET@a\"]",
            "url: \"SECRET@a\"", "url: \"ftp://SECRET@a\"",
            "url: \"http://a\", credential: \"Bearer SECRET\"", "url: \"http://a\", ownCredential: \"SECRET\"",
            "url: \"http://a\", host: \"gateway:SECRET@a\"",
            "url: \"http://a\", credential: { header: \"Authorization: SECRET\", secretFile: \"f\" }",
        ])
    func secrets(block: String) {
        let text = "{ gateway: { upstream: { \(block), hots: 1 } } }"
        guard case .refused(let diagnostics) = load([text]) else {
            Issue.record("loaded")
            return
        }
        #expect(diagnostics.count >= 2)
        for diagnostic in diagnostics { #expect(!"\(diagnostic)\(diagnostic.rendered)".contains("SECRET")) }
    }

    @Test("UpstreamSettings: the fields that the gateway writes cannot be set, in any case")
    func ownFields() {
        for name in [
            "Host", "CONTENT-LENGTH", "transfer-encoding", "Connection", "Te", "Via", "Forwarded", "x-forwarded-for",
            "X-Gateway-Organization", "traceparent", "Expect", "Upgrade", "", "a b", "a:b", "a\\n",
            "X_Gateway_Foo", "x_gateway-foo", "X-Forwarded_For", "Content_Length", "proxy_connection", "X_Request_Id",
        ] {
            let block =
                "{ gateway: { upstream: { url: \"http://a\", ownCredential: { header: \"\(name)\", secretFile: \"f\" } } } }"
            guard case .refused(let diagnostics) = load([block]) else {
                Issue.record("\(name) can be set")
                continue
            }
            #expect(diagnostics.map(\.code) == [.badHeader], "\(name)")
        }
    }

    @Test(
        "UpstreamSettings: other fields can be set, with underscores or not",
        arguments: ["x_api_key", "X-Host", "_host", "x_gatewayfoo"])
    func otherFields(name: String) {
        let block =
            "{ gateway: { upstream: { url: \"http://a\", ownCredential: { header: \"\(name)\", secretFile: \"f\" } } } }"
        guard case .refused(let diagnostics) = load([block]) else {
            Issue.record("a set without routes is loaded")
            return
        }
        #expect(diagnostics.map(\.code) == [.noRoutes])
    }
}
