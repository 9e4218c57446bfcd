import HTTP
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Reserved fields")
struct ForwardedHeadTests {
    private func isReserved(_ name: String, isTrusted: Bool = false) -> Bool {
        ReservedField.isReserved(Array(name.utf8).span, isTrusted: isTrusted)
    }

    @Test(
        "ForwardedHead: no spelling that a server may read as a reserved field is forwarded",
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
        "ForwardedHead: a field that would change the request is forwarded in no spelling",
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
        "ForwardedHead: a trusted proxy may set where a request comes from, in the usual spelling",
        arguments: ["X-Forwarded-Port", "x-forwarded-prefix", "X-FORWARDED-FOR"])
    func forwarded(name: String) {
        #expect(isReserved(name))
        #expect(!isReserved(name, isTrusted: true))
    }

    @Test(
        "ForwardedHead: other fields of the client are forwarded",
        arguments: [
            "x", "x-gateway", "x-gatewa", "x-gateways", "y-gateway-organization", "x-forwarde", "x-forwarded",
            "gateway-x",
            "xx-gateway-organization", "forward", "x-custom-forwarded-for",
        ])
    func free(name: String) {
        #expect(!isReserved(name))
        #expect(!isReserved(name, isTrusted: true))
    }

    @Test("ForwardedHead: a credential's name is recognized in every spelling, and no other name is")
    func credential() {
        func isRead(_ name: String, as known: String) -> Bool {
            ReservedField.isRead(Array(name.utf8).span, as: Array(known.utf8))
        }
        for name in ["x-api-key", "X-API-KEY", "x_api_key", "X_Api-Key", "x.api.key", "x!api~key"] {
            #expect(isRead(name, as: "x-api-key"))
        }
        for name in ["x-api-keys", "x-api-ke", "xaapi-key", "x0api-key", ""] { #expect(!isRead(name, as: "x-api-key")) }
        #expect(isRead("my-key", as: "my_key"))
        #expect(!isRead("", as: ""))
    }

    @Test("ForwardedHead: a secret that no field can carry is refused, and not shown")
    func secret() throws {
        #expect(SecretField(header: "X-Key", value: []) == nil)
        for bad in ["a\r\nX: y", "a\n", "\0"] { #expect(SecretField(header: "X-Key", value: Array(bad.utf8)) == nil) }
        let secret = try #require(SecretField(header: "X-Key", value: Array("Bearer a".utf8)))
        #expect(secret.line == Array("X-Key: Bearer a\r\n".utf8))
        #expect(!"\(secret) \(String(reflecting: secret.description))".contains("Bearer"))
    }
}
