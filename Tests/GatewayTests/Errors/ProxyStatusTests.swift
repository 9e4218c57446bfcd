import Testing

@testable import Gateway

@Suite("Proxy-Status")
struct ProxyStatusTests {
    @Test("ProxyStatus: a member is a structured field")
    func text() {
        #expect(ProxyStatus(error: "dns_error").text == "connector-gateway;error=dns_error")
        #expect(ProxyStatus(receivedStatus: 503).text == "connector-gateway;received-status=503")
        #expect(ProxyStatus(name: "edge 1", error: "tls_alert_received").text == #""edge 1";error=tls_alert_received"#)
        #expect(ProxyStatus(name: "1a\"\r\n").text == #""1a\"??""#)
        #expect(ProxyStatus(name: "gw.example.net").text == "gw.example.net")
        #expect(ProxyStatus(name: "").text == #""""#)
        for name in ["a", "*a:/b", "1", "a b", "", "\u{e9}"] {
            #expect(StructuredListCheck.passes(ProxyStatus(name: name, error: "e", receivedStatus: 599).text))
        }
    }

    @Test(
        "ProxyStatus: a list of members passes",
        arguments: [
            "a", "\"a b\"", "a, b", "a,b", "a ;x".replacing(" ", with: ""), "  a  ,\t\"b\"  ",
            #"ExampleCDN;error=connection_timeout;details="a \"b\" \\", r34.example.net; received-status=503"#,
            "a;x", "a;x=?1;y=?0", "a;x=-1;y=1.5;z=999999999999999", "a;x=:aGk=:", "a;x=@1700000000", "a;x=%\"f%c3%bc\"",
            "*;*a-_.=b:/c",
        ])
    func lists(line: String) {
        #expect(StructuredListCheck.passes(line))
    }

    @Test(
        "ProxyStatus: anything else does not",
        arguments: [
            "", " ", ",", "a,", ",a", "a,,b", "a b", "1", "?1", "(a)", "\"a", "\"a\\\"", "\"\\x\"", "\"\u{e9}\"", "a;",
            "a;X=1", "a;1", "a;x=", "a;x=(b)", "a;x=?2", "a;x=:a", "a;x=@", "a;x=@1.5", "a;x=-", "a;x=1.", "a;x=1.2345",
            "a;x=1234567890123456", "a;x=1234567890123.1", "a;x=%a", "a;x=%\"%C3\"", "a;x=%\"", "a;x=\"", "a x=1",
            "a=1",
            "error=x; y",
        ])
    func broken(line: String) {
        #expect(!StructuredListCheck.passes(line))
    }
}
