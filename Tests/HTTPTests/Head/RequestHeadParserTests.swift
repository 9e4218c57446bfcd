import HTTP
import Testing

@Suite("Reading a request head")
struct RequestHeadParserTests {
    @Test("RequestHeadParser: every part of a request is found where it stands")
    func parts() throws {
        let text =
            "POST /v1/things/7?page=2&q=a%20b HTTP/1.1\r\nHost: localhost:8443\r\nAuthorization: Bearer abc\r\n"
            + "x-api-key:dummy\r\nTRACEPARENT: 00-4bf9-00f0-01 \t\r\nX-Organization-ID: \t org_xyz789\r\n"
            + "Content-Type: application/json\r\nContent-Length: 12\r\nX-Other: v\u{e9}lo, a  b\r\n\r\n{}"
        let head = try #require(HeadOutcome(text).head)
        #expect(head.method == .post)
        #expect(head.target == "/v1/things/7?page=2&q=a%20b")
        #expect(head.path == "/v1/things/7")
        #expect(head.query == "page=2&q=a%20b")
        #expect(head.minorVersion == 1)
        #expect(head.host == "localhost:8443")
        #expect(head.authorization == "Bearer abc")
        #expect(head.apiKey == "dummy")
        #expect(head.traceparent == "00-4bf9-00f0-01")
        #expect(head.organizationID == "org_xyz789")
        #expect(head.contentType == "application/json")
        #expect(head.framing == .length(12))
        #expect(head.fields.last == "X-Other: v\u{e9}lo, a  b")
        #expect(head.end == text.utf8.count - 2)
    }

    @Test("RequestHeadParser: a parser and its head serve one request after another without leaving anything behind")
    func reuse() throws {
        var parser = RequestHeadParser()
        var head = RequestHead()
        let first = Array(
            headText(
                [
                    "Authorization: a", "x-api-key: b", "traceparent: c", "X-Organization-Id: d", "Content-Type: e",
                    "Content-Length: 5", "Expect: 100-continue", "Connection: close",
                ],
                line: "PATCH /x?y HTTP/1.1"
            ).utf8)
        #expect(HeadOutcome.next(first, &parser, &head).head?.expectsContinue == true)
        let second = Array(headText().utf8)
        #expect(HeadOutcome.next(second, &parser, &head) == HeadOutcome(second))
        #expect(HeadOutcome.next(Array("GET  ".utf8), &parser, &head).error == .invalidTarget(at: 4))
        #expect(HeadOutcome.next(second, &parser, &head) == HeadOutcome(second))
        #expect(HeadOutcome.next(Array("POST /late".utf8), &parser, &head) == .incomplete)
        parser.reset()
        #expect(HeadOutcome.next(second, &parser, &head) == HeadOutcome(second))
    }

    @Test("RequestHeadParser: each offered method is known by its exact spelling", arguments: HTTPMethod.allCases)
    func knowMethod(method: HTTPMethod) {
        #expect(HeadOutcome(headText(line: "\(method.name) / HTTP/1.1")).head?.method == method)
        let lower = method.name.lowercased()
        #expect(HeadOutcome(headText(line: "\(lower) / HTTP/1.1")).error == .unknownMethod)
        #expect(HeadOutcome(headText(line: "\(method.name)S / HTTP/1.1")).error == .unknownMethod)
    }

    @Test("RequestHeadParser: an unsupported method is distinguished from an invalid one", arguments: methods)
    func refuseMethod(line: String, error: HeadError) {
        #expect(HeadOutcome(headText(line: line)).error == error)
    }

    static let methods: [(String, HeadError)] = [
        ("TRACE / HTTP/1.1", .unknownMethod), ("CONNECT a:443 HTTP/1.1", .unknownMethod),
        ("BASELINE-CONTROL / HTTP/1.1", .unknownMethod), ("G%T / HTTP/1.1", .unknownMethod),
        (String(repeating: "A", count: 32) + " / HTTP/1.1", .unknownMethod),
        // Longer ones are refused before their end.
        (String(repeating: "A", count: 33), .unknownMethod), (String(repeating: "A", count: 9000), .unknownMethod),
        (" GET / HTTP/1.1", .foldedLine(at: 0)), ("\tGET / HTTP/1.1", .foldedLine(at: 0)),
        ("G[T / HTTP/1.1", .invalidMethod(at: 1)), ("GET\t/ HTTP/1.1", .invalidMethod(at: 3)),
        ("G\u{0}T / HTTP/1.1", .invalidMethod(at: 1)), ("GET", .invalidMethod(at: 3)),
        ("\u{16}\u{3}\u{1}", .invalidMethod(at: 0)), (":", .invalidMethod(at: 0)),
        ("G\u{e9}T / HTTP/1.1", .invalidMethod(at: 1)),
    ]

    @Test("RequestHeadParser: a target is split into path and query, and neither is touched", arguments: targets)
    func splitTarget(target: String, path: String, query: String?) {
        let head = HeadOutcome(headText(line: "GET \(target) HTTP/1.1")).head
        #expect(head?.target == target)
        #expect(head?.path == path)
        #expect(head?.query == query)
        #expect(head?.originForm == path + (query.map { "?" + $0 } ?? ""))
    }

    static let targets: [(String, String, String?)] = [
        ("/", "/", nil), ("/?", "/", ""), ("/a?b?c", "/a", "b?c"), ("//a/../b/.", "//a/../b/.", nil),
        ("/%2e%2E/%00%zz", "/%2e%2E/%00%zz", nil), ("/a;b\\c|{}^`\"<>", "/a;b\\c|{}^`\"<>", nil),
        ("/?/a//b", "/", "/a//b"),
        ("/12345678901234567890?x=12345678901234567890", "/12345678901234567890", "x=12345678901234567890"),
        ("http://h/a?b", "/a", "b"), ("https://h:8443/a/b", "/a/b", nil), ("HTTPS://[::1]:8443//x", "//x", nil),
        // An empty path is "/".
        ("http://h", "/", nil), ("https://h", "/", nil), ("hTTpS://h:1", "/", nil),
    ]

    @Test("RequestHeadParser: the asterisk is a target of OPTIONS only")
    func asterisk() {
        #expect(HeadOutcome(headText(line: "OPTIONS * HTTP/1.1")).head?.path == "*")
        #expect(HeadOutcome(headText(line: "GET * HTTP/1.1")).error == .invalidTarget(at: 4))
        #expect(HeadOutcome(headText(line: "OPTIONS ** HTTP/1.1")).error == .invalidTarget(at: 8))
    }

    @Test(
        "RequestHeadParser: the host of an absolute target wins over the Host field, whatever comes first (RFC 9112, section 3.2.2)"
    )
    func targetHost() {
        let head = HeadOutcome(headText(["Host: other"], line: "GET http://target:80/ HTTP/1.1", host: false)).head
        #expect(head?.host == "target:80")
        #expect(HeadOutcome(headText(line: "GET http://target/ HTTP/1.1", host: false)).error == .missingHost)
        #expect(HeadOutcome(headText(["Host: b"], line: "GET http://target/ HTTP/1.1")).error == .repeatedHost)
    }

    @Test("RequestHeadParser: what is no request target is refused", arguments: badTargets)
    func refuseTarget(target: String, offset: Int) {
        #expect(HeadOutcome(headText(line: "GET \(target) HTTP/1.1")).error == .invalidTarget(at: offset))
    }

    static let badTargets: [(String, Int)] = [
        ("", 4), (" /", 4), ("\t/", 4), ("/a#b", 6), ("/\u{0}", 5), ("/a\u{7f}", 6), ("/\u{e9}", 5), ("/a\tb", 6),
        ("/a\rb", 6),
        ("/1234567\u{1f}", 12), ("a", 4), ("a/b", 4), ("h:80", 4), ("http:/a", 4), ("http:///a", 11),
        ("https://?a", 12),
        ("http://", 4), ("https://", 4), ("ftp://h/", 4), ("http://user@h/", 11), ("http://u:p@h/", 11),
        ("http://h?b/c", 12), ("https://h:1?", 15), ("http://h:99999/", 11), ("http://h:x/", 11), ("http://[]/", 11),
        ("http://[::1/", 11),
        ("http://a%41/", 11), ("http://a,b/", 11),
    ]

    @Test("RequestHeadParser: a version is `HTTP/1.` and one digit, in capitals", arguments: versions)
    func refuseVersion(version: String, error: HeadError) {
        #expect(HeadOutcome(headText(line: "GET / \(version)")).error == error)
    }

    static let versions: [(String, HeadError)] = [
        ("HTTP/2.0", .unsupportedVersion), ("HTTP/0.9", .unsupportedVersion), ("HTTP/3.7", .unsupportedVersion),
        ("HTTP/1.10", .invalidVersion(at: 14)), ("HTTP/1.1 ", .invalidVersion(at: 14)),
        ("HTTP/1.1\t", .invalidVersion(at: 14)),
        ("HTTP/1", .invalidVersion(at: 12)), ("HTTP/1.", .invalidVersion(at: 13)), ("HTTP/11", .invalidVersion(at: 12)),
        ("http/1.1", .invalidVersion(at: 6)), ("HTTp/1.1", .invalidVersion(at: 9)),
        (" HTTP/1.1", .invalidVersion(at: 6)),
        ("HTTPS/1.1", .invalidVersion(at: 10)), ("", .invalidVersion(at: 6)), ("HTTP/+.1", .invalidVersion(at: 11)),
        ("HTTP/1.1\r", .invalidLineEnd(at: 14)), ("b HTTP/1.1", .invalidVersion(at: 6)),
        ("HTTP/01.1", .invalidVersion(at: 12)),
    ]

    @Test(
        "RequestHeadParser: the version is judged before the method: the preface of HTTP/2 is another version, not another method"
    )
    func preface() {
        #expect(HeadOutcome("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error == .unsupportedVersion)
        #expect(HeadOutcome("FOO / HTTP/1.x\r\n\r\n").error == .invalidVersion(at: 13))
    }

    @Test("RequestHeadParser: HTTP/0.9 has no head", arguments: ["GET /\r\n", "GET\r\n", "GET / \r\n"])
    func simpleRequest(text: String) {
        #expect(HeadOutcome(text).error != nil)
    }

    @Test("RequestHeadParser: a higher minor version of HTTP/1 is served as HTTP/1.1")
    func minorVersions() {
        #expect(HeadOutcome(headText(line: "GET / HTTP/1.0")).head?.minorVersion == 0)
        #expect(HeadOutcome(headText(line: "GET / HTTP/1.2")).head?.minorVersion == 1)
        #expect(HeadOutcome(headText(line: "GET / HTTP/1.9")).head?.minorVersion == 1)
    }

    @Test("RequestHeadParser: one empty line before a request is skipped, a second one and a bare CR or LF are refused")
    func emptyLineInFront() {
        let plain = HeadOutcome(headText()).head
        let head = HeadOutcome("\r\n" + headText()).head
        #expect(head?.fields == plain?.fields)
        #expect(head?.end == plain.map { $0.end + 2 })
        #expect(HeadOutcome("\r\n\r\n" + headText()).error == .invalidMethod(at: 2))
        #expect(HeadOutcome("\n" + headText()).error == .invalidMethod(at: 0))
        #expect(HeadOutcome("\r" + headText()).error == .invalidLineEnd(at: 0))
        #expect(HeadOutcome("\r\n " + headText()).error == .foldedLine(at: 2))
    }

    @Test("RequestHeadParser: a bare CR or a bare LF never ends a line", arguments: lineEnds)
    func refuseLineEnd(text: String, error: HeadError) {
        #expect(HeadOutcome(text).error == error)
    }

    static let lineEnds: [(String, HeadError)] = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", .invalidVersion(at: 14)),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", .invalidLineEnd(at: 14)),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", .invalidFieldValue(at: 23)),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n", .invalidLineEnd(at: 23)),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", .invalidLineEnd(at: 23)),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", .invalidFieldValue(at: 23)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", .invalidFieldName(at: 25)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", .invalidLineEnd(at: 25)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", .invalidLineEnd(at: 25)),
        ("GET / HTTP/1.1\r\nHost:\n a\r\n\r\n", .invalidFieldValue(at: 21)),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", .invalidFieldName(at: 20)),
    ]
}
