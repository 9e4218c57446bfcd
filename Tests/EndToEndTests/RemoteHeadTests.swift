import TestSupport
import Testing

@testable import Gateway

extension EndToEnd {
    /// What the upstream gets of a request's head.
    @Suite("Heads to a remote upstream")
    struct RemoteHeadTests {
        @Test(
            "Forwarded head: the head is forwarded byte for byte, without fields of the connection and fields that only the gateway may set"
        )
        func golden() async throws {
            let upstream = try RawUpstream()
            var setup = GatewaySetup()
            setup.upstream = #"url: "http://127.0.0.1:\#(upstream.port)/base","#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let target = "\(Path.jobs)?x=%2f%2E..&y=a%20b&&z"
                let trace = "0af7651916cd43dd8448eb211c80319c"
                try client.send(
                    """
                    GET \(target) HTTP/1.1\r
                    Host: localhost:8443\r
                    authorization: Bearer token-full\r
                    X-Custom:   two  words\t\r
                    Connection: keep-alive, x-hop\r
                    X-Hop: gone\r
                    Keep-Alive: timeout=5\r
                    TE: trailers\r
                    X-Gateway-Organization: evil\r
                    x_gateway_principal: evil\r
                    X_Forwarded_Host: evil\r
                    X-Forwarded-For: 6.6.6.6\r
                    X-Forwarded-Proto: http\r
                    X-Forwarded-Port: 1\r
                    Forwarded: for=6.6.6.6\r
                    traceparent: 00-\(trace)-b7ad6b7169203331-01\r
                    tracestate: a=b\r
                    Accept: */*\r
                    \r

                    """)
                let (peer, request) = try upstream.acceptRequest()
                var head = request.head
                let parent = try #require(request.values("traceparent").first?.dropFirst(36).prefix(16))
                #expect(parent != "b7ad6b7169203331")
                head.replace(parent, with: "PARENT")
                #expect(
                    head == """
                        GET /base\(target) HTTP/1.1\r
                        Host: 127.0.0.1:\(upstream.port)\r
                        authorization: Bearer token-full\r
                        X-Custom:   two  words\t\r
                        Accept: */*\r
                        Via: 1.1 \(ForwardedFields.pseudonym)\r
                        X-Forwarded-For: 127.0.0.1\r
                        X-Forwarded-Proto: https\r
                        X-Forwarded-Host: localhost:8443\r
                        Forwarded: for=127.0.0.1;proto=https;host="localhost:8443"\r
                        X-Gateway-Organization: org_xyz789\r
                        X-Gateway-Principal: org_xyz789/full\r
                        X-Gateway-Policy-Version: \(gateway.policyVersion)\r
                        traceparent: 00-\(trace)-PARENT-01\r
                        tracestate: a=b\r
                        \r

                        """)
                try peer.send(answer())
                #expect(try client.answer().status == 200)
            }
        }

        @Test(
            "Forwarded head: a trusted proxy's fields about the client are forwarded, with the proxy's address appended"
        )
        func trustedProxy() async throws {
            try await withRawUpstream(settings: #"trustedProxies: ["127.0.0.0/8"],"#) { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(
                    self.request(
                        "GET", "X-Forwarded-For: 10.1.1.1, 10.2.2.2", "X-Forwarded-Proto: http",
                        "X-Forwarded-Host: shown.example", "X_Forwarded_Host: evil", "Forwarded: for=10.1.1.1"))
                let (_, request) = try upstream.acceptRequest()
                #expect(request.values("x-forwarded-for") == ["10.1.1.1, 10.2.2.2, 127.0.0.1"])
                #expect(request.values("x-forwarded-proto") == ["http"])
                #expect(request.values("x-forwarded-host") == ["shown.example"])
                #expect(request.values("x_forwarded_host") == [])
                #expect(
                    request.values("forwarded") == [#"for=10.1.1.1, for=127.0.0.1;proto=https;host="localhost""#])
            }
        }

        @Test("Forwarded head: the gateway's credential replaces the client's in every spelling, and is in no log")
        func secretCredential() async throws {
            try await withTestFolder { folder in
                let upstream = try RawUpstream()
                var setup = GatewaySetup()
                setup.upstream = upstream.settings(
                    #"credential: { header: "X-Upstream-Key", secretFile: "secrets/key" },"#)
                try folder.write("s3cret-of-the-gateway\n", to: "policies/secrets/key")
                let gateway = try await TestGateway.start(setup, in: folder)
                do {
                    let client = try TLSClient(gateway)
                    try client.send(
                        self.request(
                            "GET", "x-upstream-key: mine", "X_UPSTREAM_KEY: mine", "x_api_key: mine",
                            "X-Upstream-Keys: other"))
                    let (peer, request) = try upstream.acceptRequest()
                    #expect(request.values("x-upstream-key") == ["s3cret-of-the-gateway"])
                    for name in ["authorization", "x_upstream_key", "x-api-key", "x_api_key"] {
                        #expect(request.values(name) == [], "\(name)")
                    }
                    #expect(request.values("x-upstream-keys") == ["other"])
                    try peer.send(answer(500, body: "no such key: s3cret-of-the-gateway"))
                    try client.answer().expectError(500, "UPSTREAM_ERROR")
                    try waitUntil("the request is logged") { gateway.log.contains("\"status\":500") }
                    #expect(!gateway.log.contains("s3cret"))
                    #expect(!gateway.said.joined().contains("s3cret"))
                } catch {
                    await gateway.stop()
                    throw error
                }
                await gateway.stop()
            }
        }

        @Test("Forwarded head: a request that this gateway has forwarded before is a loop, and is refused")
        func loop() async throws {
            try await withRawUpstream { gateway, upstream in
                let client = try TLSClient(gateway)
                try client.send(self.request("GET", "Via: 1.0 fred, 1.1 \(ForwardedFields.pseudonym) (x)"))
                let answer = try client.answer()
                try answer.expectError(502, "BAD_GATEWAY")
                #expect(answer["proxy-status"]?.contains("proxy_loop_detected") == true)
                #expect(upstream.isLeftAlone)
            }
        }

        private func request(_ method: String, _ fields: String...) -> String {
            (["\(method) \(Path.state) HTTP/1.1", "Host: localhost", "Authorization: Bearer token-full"] + fields)
                .joined(separator: "\r\n") + "\r\n\r\n"
        }
    }
}
