import HTTP
import Testing

@testable import Gateway
@testable import Policy

@Suite("Fields of upstream errors")
struct ErrorFieldsTests {
    private func answer(_ status: Int, _ fields: [(name: String, value: String)]) -> UpstreamErrorAnswer {
        UpstreamErrorAnswer(
            UpstreamError(status: status, contentType: "", body: [], fields: fields), rules: [], showsUpstream: false,
            epochSeconds: 1_700_000_000)
    }

    @Test(
        "What is said of the replaced body, the connection, or by the gateway itself goes",
        arguments: [
            "Content-Type", "content-length", "CONTENT-ENCODING", "Content-Language", "Content-MD5", "Content-Digest",
            "Content-Disposition", "Content-Range", "Content-Location", "Digest", "Repr-Digest", "ETag",
            "Last-Modified", "Accept-Ranges", "Signature", "Signature-Input", "Transfer-Encoding", "Trailer",
            "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Proxy-Authenticate", "Date",
            "Retry-After", "X-Trace-Id", "X-Policy-Version",
        ])
    func dropped(name: String) {
        #expect(!ErrorFields.isKept(name))
    }

    @Test(
        "Everything else stays",
        arguments: [
            "X-Request-Id", "Request-Id", "X-Correlation-Id", "RateLimit", "RateLimit-Policy", "X-RateLimit-Reset",
            "WWW-Authenticate", "Allow", "Location", "Proxy-Status", "Vary", "Cache-Control", "Expires", "Age", "Link",
            "Set-Cookie", "Access-Control-Allow-Origin", "Content-Security-Policy", "X-Content-Type-Options",
            "Strict-Transport-Security", "Via", "Server", "aitronos-organization", "freddy-processing-ms", "X-Unknown",
            "Dates", "Content",
        ])
    func kept(name: String) {
        #expect(ErrorFields.isKept(name))
    }

    @Test("Order and repetition stay; what could end a line does not go on")
    func order() {
        let fields = ErrorFields.kept(of: [
            ("Set-Cookie", "a"), ("Content-Type", "text/html"), ("X-A", "\u{e9}\t"), ("Set-Cookie", "b"),
            ("X-B", "1\r\nEvil: 2"), ("X-C", "\u{0}"), ("X D", "1"), ("", "1"), ("X-E\r\nEvil", "2"), ("X-F", ""),
        ])
        #expect(fields.map(\.name) == ["Set-Cookie", "X-A", "Set-Cookie", "X-F"])
        #expect(fields.map(\.value) == ["a", "\u{e9}\t", "b", ""])
    }

    @Test("A Proxy-Status beside which ours could not be read does not go on")
    func proxyStatus() {
        let fields = ErrorFields.kept(of: [
            ("Proxy-Status", "inner;error=dns_error"), ("proxy-status", "not a list"), ("PROXY-STATUS", ""),
        ])
        #expect(fields.map(\.value) == ["inner;error=dns_error"])
    }

    @Test("A 401 has a challenge, the upstream's or ours")
    func challenge() {
        #expect(answer(401, []).response.authenticate == .missing)
        let own = answer(401, [("www-authenticate", "Basic realm=\"x\"")])
        #expect(own.response.authenticate == nil)
        #expect(own.fields.map(\.value) == ["Basic realm=\"x\""])
        #expect(answer(403, []).response.authenticate == nil)
    }

    @Test("Retry-After is in the answer once, and readable")
    func retryAfter() {
        let busy = answer(503, [("retry-after", "0.5"), ("X-Request-Id", "r")])
        #expect(busy.response.retryAfterSeconds == 1)
        #expect(busy.fields.map(\.name) == ["X-Request-Id"])
    }
}
