import HTTP
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Names that are the gateway's to say")
struct ForwardedHeadTests {
    private func isReserved(_ name: String, isTrusted: Bool = false) -> Bool {
        ForwardedFields.isReserved(Array(name.utf8).span, isTrusted: isTrusted)
    }

    @Test(
        "No spelling that a server may read as one of them gets through",
        arguments: [
            "x-gateway-organization", "X-Gateway-Principal", "X_GATEWAY_ORGANIZATION", "x-gateway_policy-version",
            "X-GATEWAY-", "x_gateway_anything", "X_Forwarded_For", "x_forwarded-host", "X.Gateway.Organization",
            "x-gateway!principal", "X|Forwarded~For", "x.organization.id",
        ])
    func reserved(name: String) {
        #expect(isReserved(name))
        #expect(isReserved(name, isTrusted: true))
    }

    @Test(
        "What would make another request of it goes on in no spelling",
        arguments: [
            "X-HTTP-Method", "X-HTTP-Method-Override", "x_http_method_override", "X-Method-Override",
            "X-METHOD_OVERRIDE",
            "X-Original-URL", "x-rewrite-url", "X_Rewrite_URL", "Remote-User", "REMOTE_USER", "X-Remote-User", "Proxy",
            "X.HTTP.Method.Override", "remote+user",
            "PROXY",
        ])
    func otherMeaning(name: String) {
        #expect(isReserved(name))
        #expect(isReserved(name, isTrusted: true))
        #expect(!isReserved(name + "s"))
        #expect(!isReserved("a" + name))
    }

    @Test(
        "A trusted proxy may say where a request comes from, in the usual spelling",
        arguments: ["X-Forwarded-Port", "x-forwarded-prefix", "X-FORWARDED-FOR"])
    func forwarded(name: String) {
        #expect(isReserved(name))
        #expect(!isReserved(name, isTrusted: true))
    }

    @Test(
        "Other names are the client's own",
        arguments: [
            "x", "x-gateway", "x-gatewa", "x-gateways", "y-gateway-organization", "x-forwarde", "x-forwarded",
            "gateway-x",
            "xx-gateway-organization", "forward", "x-custom-forwarded-for",
        ])
    func free(name: String) {
        #expect(!isReserved(name))
        #expect(!isReserved(name, isTrusted: true))
    }

    @Test("A credential's name is met in every spelling, and no other name is")
    func credential() {
        func isRead(_ name: String, as known: String) -> Bool {
            ForwardedFields.isRead(Array(name.utf8).span, as: Array(known.utf8))
        }
        for name in ["x-api-key", "X-API-KEY", "x_api_key", "X_Api-Key", "x.api.key", "x!api~key"] {
            #expect(isRead(name, as: "x-api-key"))
        }
        for name in ["x-api-keys", "x-api-ke", "xaapi-key", "x0api-key", ""] { #expect(!isRead(name, as: "x-api-key")) }
        #expect(isRead("my-key", as: "my_key"))
        #expect(!isRead("", as: ""))
    }

    @Test("A secret that no field can carry is none, and none is shown")
    func secret() throws {
        #expect(SecretField(header: "X-Key", value: []) == nil)
        for bad in ["a\r\nX: y", "a\n", "\0"] { #expect(SecretField(header: "X-Key", value: Array(bad.utf8)) == nil) }
        let secret = try #require(SecretField(header: "X-Key", value: Array("Bearer a".utf8)))
        #expect(secret.line == Array("X-Key: Bearer a\r\n".utf8))
        #expect(!"\(secret) \(String(reflecting: secret.description))".contains("Bearer"))
    }
}

@Suite("How a relayed answer is framed")
struct RelayedFramingTests {
    private func request(_ method: String, _ version: String) throws -> RequestHead {
        var head = RequestHead()
        var parser = RequestHeadParser()
        #expect(try parser.parse(Array("\(method) / HTTP/\(version)\r\nHost: a\r\n\r\n".utf8).span, into: &head))
        return head
    }

    private func answer(_ status: Int, _ field: String, to method: HTTPMethod) throws -> ResponseHead {
        var head = ResponseHead()
        var parser = ResponseHeadParser()
        let field = field.isEmpty ? "" : field + "\r\n"
        let text = "HTTP/1.1 \(status) X\r\n\(field)\r\n"
        #expect(try parser.parse(Array(text.utf8).span, answering: method, into: &head))
        return head
    }

    @Test("For every framing, method, status and version it is what the client can read")
    func all() throws {
        let fields = ["", "Content-Length: 0", "Content-Length: 7", "Transfer-Encoding: chunked"]
        for (method, name) in [(HTTPMethod.get, "GET"), (.head, "HEAD")] {
            for version in ["1.0", "1.1"] {
                for status in [200, 204, 304, 404] {
                    for (index, field) in fields.enumerated() {
                        // Such a head is refused before.
                        if status == 204, index > 1 { continue }
                        let framing = RelayedFraming(
                            of: try answer(status, field, to: method), for: try request(name, version))
                        let hasBody = method != .head && status != 204 && status != 304
                        let expected: RelayedFraming =
                            switch (hasBody, index) {
                            case (_, 1) where status != 204: .length(0)
                            case (_, 2): .length(7)
                            case (true, _): version == "1.0" ? .untilClose : .chunked
                            case (false, _): .none
                            }
                        #expect(framing == expected, "\(name) HTTP/\(version) \(status) \(field)")
                    }
                }
            }
        }
    }

    @Test("An answer's limits win where it has any", arguments: [("RateLimit-Limit: 1", true), ("Rate: 1", false)])
    func limits(field: String, brings: Bool) throws {
        #expect((RelayedMarks(try answer(200, field, to: .get)).limits == .upstreams) == brings)
    }
}

@Suite("The copy of an answer")
struct BodyTapTests {
    @Test("Nothing is kept that nobody wants")
    func unwanted() {
        var copy = BodyTap(isWanted: false, holdsBack: false)
        #expect(copy.takes(1) == false)
        #expect(copy.plain == [])
    }

    @Test("What fits is kept to the last byte; one more, and nothing is held back for it any more")
    func limit() {
        var copy = BodyTap(isWanted: true, holdsBack: true)
        #expect(copy.takes(copy.limit) == true)
        #expect(copy.holdsBack)
        #expect(copy.takes(copy.limit + 1) == false)
        #expect(!copy.holdsBack)
        #expect(copy.takes(1) == false)
        #expect(copy.plain == [])
    }

    @Test("What cannot be decoded says nothing")
    func damaged() {
        let copy = BodyTap(isWanted: true, holdsBack: true, coding: .gzip)
        #expect(copy.plain == [])
    }
}

@Suite("Whom the gateway believes")
struct TrustTests {
    private func policies(_ ranges: String) throws -> CompiledPolicies {
        try TestPipeline.compiledPolicies("gateway: { trustedProxies: [\(ranges)] },")
    }

    @Test("Nobody, where the policy names nobody")
    func nobody() throws {
        let policies = try policies("")
        for peer in ["127.0.0.1", "::1", "10.0.0.1", "", "x"] { #expect(!policies.trusts(peer)) }
    }

    @Test("Those in a range, whichever family the socket shows them in")
    func ranges() throws {
        let policies = try policies(#""10.0.0.0/9", "2001:db8::/32", "::1""#)
        for peer in ["10.0.0.1", "10.127.255.255", "::ffff:10.1.1.1", "2001:db8::9", "::1"] {
            #expect(policies.trusts(peer), "\(peer)")
        }
        for peer in ["10.128.0.0", "11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "::2", "", "10.0.0.1 ", "10.0.0"] {
            #expect(!policies.trusts(peer), "\(peer)")
        }
    }
}
