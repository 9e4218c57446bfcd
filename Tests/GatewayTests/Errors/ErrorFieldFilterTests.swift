import HTTP
import Testing

@testable import Gateway
@testable import Policy

@Suite("Fields of upstream errors")
struct ErrorFieldFilterTests {
    private func answer(_ status: Int, _ fields: [(name: String, value: String)]) -> NormalizedError {
        NormalizedError(
            UpstreamErrorResponse(status: status, contentType: "", body: [], fields: fields), rules: [],
            showsOriginalError: false,
            epochSeconds: 1_700_000_000)
    }

    @Test(
        "ErrorFieldFilter: what clients act on stays",
        arguments: [
            "X-Request-Id", "Request-Id", "X-Correlation-Id", "RateLimit", "RateLimit-Policy", "ratelimit-reset",
            "X-RateLimit-Reset", "x-ratelimit-limit-tokens", "X-Rate-Limit-Reset", "WWW-Authenticate", "Allow",
            "Location",
            "Vary", "Cache-Control", "Expires", "Age", "Access-Control-Allow-Origin", "Accept-Patch",
            "X-Content-Type-Options", "Strict-Transport-Security", "aitronos-organization", "freddy-processing-ms",
            "Deprecation",
        ])
    func kept(name: String) {
        #expect(ErrorFieldFilter.isKept(name))
    }

    @Test(
        "ErrorFieldFilter: all other fields are dropped: those about the replaced body, the connection and the upstream's network, and the gateway's own",
        arguments: [
            "Content-Type", "content-length", "CONTENT-ENCODING", "Content-Language", "Content-MD5", "Content-Digest",
            "Content-Disposition", "Content-Range", "Content-Location", "Content-Security-Policy", "Digest",
            "Repr-Digest", "ETag", "Last-Modified", "Accept-Ranges", "Signature", "Signature-Input",
            "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade",
            "Proxy-Authenticate", "Proxy-Authentication-Info", "Authentication-Info", "Date", "Retry-After",
            "X-Trace-Id", "X-Policy-Version", "Server", "X-Powered-By", "X-Debug-Trace", "X-Internal-Host", "Via",
            "Set-Cookie", "Refresh", "X-Gateway-Organization", "Link", "Server-Timing", "X-Unknown", "Allowed",
            "Proxy-Status", "X-RateLimit-Node", "RateLimit-Host", "Access-Control-Internal", "Access-Control-",
            "X-Ratelimited", "Locations", "",
        ])
    func dropped(name: String) {
        #expect(!ErrorFieldFilter.isKept(name))
    }

    @Test("ErrorFieldFilter: order and repetition stay; a value that could end a line is dropped")
    func order() {
        let fields = ErrorFieldFilter.kept(
            of: [
                ("Vary", "a"), ("Content-Type", "text/html"), ("Allow", "\u{e9}\t"), ("Vary", "b"),
                ("Age", "1\r\nEvil: 2"), ("Expires", "\u{0}"), ("Al low", "1"), ("", "1"), ("Allow\r\nEvil", "2"),
                ("X-Request-Id", ""),
            ], status: 400)
        #expect(fields.map(\.name) == ["Vary", "Allow", "Vary", "X-Request-Id"])
        #expect(fields.map(\.value) == ["a", "\u{e9}\t", "b", ""])
    }

    @Test("ErrorFieldFilter: a Proxy-Status is for the log")
    func proxyStatus() {
        let told = answer(
            502, [("Proxy-Status", "inner.internal;error=dns_error"), ("proxy-status", "b;details=\"x\"")])
        #expect(told.fields.isEmpty)
        #expect(told.upstreamText == "Proxy-Status: inner.internal;error=dns_error, b;details=\"x\"")
    }

    @Test("ErrorFieldFilter: a Location is passed on if it is a path of this host")
    func places() {
        let values = [
            "/v1/jobs/1", "/", "//evil.example/", "/\\evil.example/", "http://10.0.0.1/admin", "https://host/",
            "jobs/1", "",
        ]
        let fields = ErrorFieldFilter.kept(of: values.map { ("Location", $0) }, status: 409)
        #expect(fields.map(\.value) == ["/v1/jobs/1", "/"])
    }

    @Test("ErrorFieldFilter: a challenge that a client can meet is passed on, with the statuses that have one")
    func challenges() {
        let values = [
            "Bearer realm=\"up\"", "bearer", "BEARER error=\"x\"", "Basic realm=\"internal\"", "Bearerish x", "",
            "Negotiate",
        ]
        func kept(_ status: Int) -> Int {
            ErrorFieldFilter.kept(of: values.map { ("WWW-Authenticate", $0) }, status: status).count
        }
        #expect(kept(401) == 3 && kept(403) == 3 && kept(400) == 0 && kept(500) == 0)
    }

    @Test("ErrorFieldFilter: a 401 has a challenge, the upstream's or ours")
    func challenge() {
        #expect(answer(401, []).response.authenticate == .missing)
        let own = answer(401, [("www-authenticate", "Bearer realm=\"x\"")])
        #expect(own.response.authenticate == nil)
        #expect(own.fields.map(\.value) == ["Bearer realm=\"x\""])
        let inside = answer(401, [("www-authenticate", "Basic realm=\"x\"")])
        #expect(inside.response.authenticate == .missing)
        #expect(inside.fields.isEmpty)
        #expect(answer(403, []).response.authenticate == nil)
    }

    @Test("ErrorFieldFilter: the response has one readable Retry-After")
    func retryAfter() {
        let busy = answer(503, [("retry-after", "0.5"), ("X-Request-Id", "r")])
        #expect(busy.response.retryAfterSeconds == 1)
        #expect(busy.fields.map(\.name) == ["X-Request-Id"])
    }
}
