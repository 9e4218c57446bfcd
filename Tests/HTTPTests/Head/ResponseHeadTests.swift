import HTTP
import Testing

@Suite("Reading a response head")
struct ResponseHeadTests {
    @Test("ResponseHead: a status line is a version, a code and a reason, which may be empty", arguments: lines)
    func readLine(line: String, status: Int, minorVersion: UInt8, reason: String) throws {
        let head = try #require(ResponseHeadOutcome(responseText(line: line) + "body").head)
        #expect(head.status == status)
        #expect(head.minorVersion == minorVersion)
        #expect(head.reason == reason)
        #expect(head.end == line.utf8.count + 4)
    }

    static let lines: [(String, Int, UInt8, String)] = [
        ("HTTP/1.1 200 OK", 200, 1, "OK"), ("HTTP/1.0 404 Not Found", 404, 0, "Not Found"),
        ("HTTP/1.1 200 ", 200, 1, ""), ("HTTP/1.1 200", 200, 1, ""), ("HTTP/1.1 599 ", 599, 1, ""),
        ("HTTP/1.1 100 Continue", 100, 1, "Continue"), ("HTTP/1.2 200 OK", 200, 1, "OK"),
        ("HTTP/1.9 200 OK", 200, 1, "OK"), ("HTTP/1.1 200  two\tspaces \u{e9} ", 200, 1, " two\tspaces \u{e9} "),
        ("HTTP/1.1 204 200 OK", 204, 1, "200 OK"),
    ]

    @Test("ResponseHead: what is no status line is refused at the byte that shows it", arguments: badLines)
    func refuseLine(line: String, error: ResponseHeadError) {
        #expect(ResponseHeadOutcome(responseText(line: line)).error == error)
    }

    static let badLines: [(String, ResponseHeadError)] = [
        ("", .invalidStatusLine(at: 0)), (" HTTP/1.1 200 OK", .invalidStatusLine(at: 0)),
        ("\r\nHTTP/1.1 200 OK", .invalidStatusLine(at: 0)), ("<html>", .invalidStatusLine(at: 0)),
        ("http/1.1 200 OK", .invalidStatusLine(at: 0)), ("ICY 200 OK", .invalidStatusLine(at: 0)),
        ("HTTPS/1.1 200 OK", .invalidStatusLine(at: 4)), ("HTTP/2 200 OK", .unsupportedVersion),
        ("HTTP/2.0 200 OK", .unsupportedVersion), ("HTTP/0.9 200 OK", .unsupportedVersion),
        ("HTTP/11 200 OK", .invalidStatusLine(at: 6)), ("HTTP/1.10 200 OK", .invalidStatusLine(at: 8)),
        ("HTTP/1. 200 OK", .invalidStatusLine(at: 7)), ("HTTP/1.1", .invalidStatusLine(at: 8)),
        ("HTTP/1.1\t200 OK", .invalidStatusLine(at: 8)), ("HTTP/1.1  200 OK", .invalidStatusLine(at: 9)),
        ("HTTP/1.1 099 OK", .invalidStatusLine(at: 9)), ("HTTP/1.1 600 OK", .invalidStatusLine(at: 9)),
        ("HTTP/1.1 -20 OK", .invalidStatusLine(at: 9)), ("HTTP/1.1 20 OK", .invalidStatusLine(at: 11)),
        ("HTTP/1.1 2x0 OK", .invalidStatusLine(at: 10)), ("HTTP/1.1 2000 OK", .invalidStatusLine(at: 12)),
        ("HTTP/1.1 200OK", .invalidStatusLine(at: 12)), ("HTTP/1.1 200\tOK", .invalidStatusLine(at: 12)),
        ("HTTP/1.1 200\nA: b", .invalidStatusLine(at: 12)), ("HTTP/1.1 200 \nA: b", .invalidStatusLine(at: 13)),
        ("HTTP/1.1 200 O\u{0}K", .invalidStatusLine(at: 14)), ("HTTP/1.1 200 OK\rX", .invalidStatusLine(at: 15)),
        ("HTTP/1.1 200\rX", .invalidStatusLine(at: 12)), ("HTTP/1.1 200 \u{1b}[0m", .invalidStatusLine(at: 13)),
    ]

    @Test("ResponseHead: a field line that is none is refused", arguments: badFields)
    func refuseField(line: String, offset: Int) {
        #expect(ResponseHeadOutcome(responseText([line])).error == .invalidField(at: offset))
    }

    // The status line takes the first 17 bytes.
    static let badFields: [(String, Int)] = [
        ("A : b", 18), ("Content-Length : 5", 31), (" folded", 17), ("\tfolded: a", 17), ("nocolon", 24), (": b", 17),
        ("A\u{0}: b", 18), ("A: b\u{0}", 21), ("A: b\nSet-Cookie: c", 21), ("A: b\rSet-Cookie: c", 21),
        ("A: b\r\n c", 23), ("A: \u{7f}", 20), ("Set-Cookie\u{b}: a", 27), ("HTTP/1.1 200 OK", 21),
    ]

    @Test("ResponseHead: the body ends where status, method and fields say", arguments: framings)
    func readFraming(line: String, fields: [String], method: HTTPMethod, framing: BodyFraming, length: UInt64?) throws {
        let outcome = ResponseHeadOutcome(responseText(fields, line: "HTTP/1.1 \(line)"), answering: method)
        let head = try #require(outcome.head)
        #expect(head.framing == framing)
        #expect(head.announcedLength == length)
        #expect(head.keepsAlive == (framing != .untilClose))
    }

    private static let chunked = "Transfer-Encoding: chunked"
    private static let five = "Content-Length: 5"
    private static let zero = "Content-Length: 0"

    static let framings: [(String, [String], HTTPMethod, BodyFraming, UInt64?)] = [
        ("200 OK", [], .get, .untilClose, nil), ("200 OK", [five], .get, .length(5), 5),
        ("200 OK", [zero], .post, .none, 0), ("200 OK", ["TRANSFER-encoding: CHUNKED"], .get, .chunked, nil),
        ("404 Not Found", [], .delete, .untilClose, nil), ("404 Not Found", [five], .delete, .length(5), 5),
        ("205 Reset Content", [], .get, .untilClose, nil), ("502 ", [chunked], .get, .chunked, nil),
        ("200 OK", [five, five], .get, .length(5), 5),
        ("200 OK", [five, "content-length:\t005 "], .get, .length(5), 5),
        // An answer to HEAD has the fields of one to GET, and no body.
        ("200 OK", [], .head, .none, nil), ("200 OK", [five], .head, .none, 5),
        ("200 OK", [chunked], .head, .none, nil),
        ("404 Not Found", [five], .head, .none, 5), ("204 No Content", [], .head, .none, nil),
        ("304 Not Modified", [], .get, .none, nil), ("304 Not Modified", [five], .get, .none, 5),
        ("304 Not Modified", [chunked], .get, .none, nil),
        ("204 No Content", [], .get, .none, nil), ("204 No Content", [zero], .delete, .none, nil),
        ("100 Continue", [], .post, .none, nil), ("103 Early Hints", ["Link: a"], .get, .none, nil),
        ("102 Processing", [zero], .post, .none, nil),
    ]

    @Test("ResponseHead: ambiguous framing is refused", arguments: contradictions)
    func refuseFraming(fields: [String], contradiction: FramingContradiction) {
        for method in HTTPMethod.allCases {
            let outcome = ResponseHeadOutcome(responseText(fields), answering: method)
            #expect(outcome.error == .contradictoryFraming(contradiction))
        }
    }

    static let contradictions: [([String], FramingContradiction)] = [
        ([five, chunked], .contentLengthWithTransferEncoding), ([chunked, zero], .contentLengthWithTransferEncoding),
        ([five, "Content-Length: 6"], .differingContentLengths), (["Content-Length: -5"], .invalidContentLength),
        (["Content-Length: 5, 5"], .invalidContentLength), (["Content-Length: 5;"], .invalidContentLength),
        (["Content-Length:"], .invalidContentLength), (["Content-Length: 0x5"], .invalidContentLength),
        (["Content-Length: 18446744073709551621"], .invalidContentLength),
        ([five, "Content-Length: x"], .invalidContentLength),
        (["Transfer-Encoding: gzip, chunked"], .unknownTransferCoding), ([chunked, chunked], .chunkedNotFinal),
        (["Transfer-Encoding: chunked, chunked"], .chunkedNotFinal), (["Transfer-Encoding: gzip"], .chunkedNotFinal),
        (["Transfer-Encoding: identity"], .chunkedNotFinal), (["Transfer-Encoding:"], .chunkedNotFinal),
        (["Transfer-Encoding: xchunked"], .chunkedNotFinal), (["Transfer-Encoding: chunked;a=b"], .chunkedNotFinal),
    ]

    @Test("ResponseHead: HTTP/1.0 has no transfer codings")
    func codingInHTTP10() {
        let text = responseText([Self.chunked], line: "HTTP/1.0 200 OK")
        #expect(ResponseHeadOutcome(text).error == .contradictoryFraming(.transferEncodingInHTTP10))
    }

    @Test(
        "ResponseHead: a body that the status does not allow makes the framing ambiguous",
        arguments: ["100", "103", "199", "204"])
    func impossibleBody(status: String) {
        for fields in [[Self.five], [Self.chunked]] {
            let text = responseText(fields, line: "HTTP/1.1 \(status) x")
            #expect(ResponseHeadOutcome(text).error == .impossibleBody)
            #expect(ResponseHeadOutcome(text, answering: .head).error == .impossibleBody)
        }
    }

    @Test("ResponseHead: an unexpected 101 is refused")
    func switchedProtocols() {
        let text = responseText(
            ["Upgrade: websocket", "Connection: Upgrade"], line: "HTTP/1.1 101 Switching Protocols")
        #expect(ResponseHeadOutcome(text).error == .switchedProtocols)
    }

    @Test("ResponseHead: a connection persists unless the upstream says otherwise", arguments: connections)
    func readConnection(version: String, fields: [String], keepsAlive: Bool, nominates: Bool) {
        let head = ResponseHeadOutcome(responseText(fields + [Self.five], line: "\(version) 200 OK")).head
        #expect(head?.keepsAlive == keepsAlive)
        #expect(head?.nominatesFields == nominates)
    }

    static let connections: [(String, [String], Bool, Bool)] = [
        ("HTTP/1.1", [], true, false), ("HTTP/1.1", ["Connection: keep-alive"], true, false),
        ("HTTP/1.1", ["Connection: Close"], false, false), ("HTTP/1.1", ["Connection: ,,close , "], false, false),
        ("HTTP/1.1", ["Connection:"], true, false), ("HTTP/1.1", ["Connection: ,\t,"], true, false),
        ("HTTP/1.1", ["Connection: x-a"], true, true), ("HTTP/1.1", ["Connection: keep-alive, Closed"], true, true),
        ("HTTP/1.1", ["Connection: close", "Connection: x"], false, true),
        ("HTTP/1.0", [], false, false), ("HTTP/1.0", ["Connection: Keep-Alive"], true, false),
        ("HTTP/1.0", ["Keep-Alive: timeout=5"], false, false),
        ("HTTP/1.0", ["Connection: keep-alive, close"], false, false),
    ]

    @Test("ResponseHead: single fields of interest are found; a repeated one is ignored")
    func singleFields() throws {
        let fields = ["content-type: text/html", "Content-Encoding: gzip", "RETRY-AFTER: 5", "Location: /a"]
        let head = try #require(ResponseHeadOutcome(responseText(fields + ["X: y"])).head)
        #expect(head.contentType == "text/html")
        #expect(head.contentEncoding == "gzip")
        #expect(head.retryAfter == "5")
        #expect(head.location == "/a")
        #expect(head.names == [.contentType, .contentEncoding, .retryAfter, .location, .other])
        for count in 2...3 {
            let repeated = (0..<count).flatMap { _ in fields }
            let head = try #require(ResponseHeadOutcome(responseText(repeated)).head)
            #expect([head.contentType, head.contentEncoding, head.retryAfter, head.location] == ["", "", "", ""])
        }
        let none = try #require(ResponseHeadOutcome(responseText()).head)
        #expect([none.contentType, none.contentEncoding, none.retryAfter, none.location] == [nil, nil, nil, nil])
    }

    @Test("ResponseHead: a head may be as long as its limit and have as many fields, and not one more")
    func limits() {
        let limits = HeadLimits(headBytes: 256, fields: 8)
        let head = { (bytes: Int) in
            let fill = bytes - responseText(["A: "]).utf8.count
            return ResponseHeadOutcome(
                responseText(["A: " + String(repeating: "a", count: fill)]) + "body", limits: limits)
        }
        #expect(head(256).head?.end == 256)
        #expect(head(257).error == .headTooLong(limit: 256))
        let fields = { ResponseHeadOutcome(responseText(Array(repeating: "A: b", count: $0)), limits: limits) }
        #expect(fields(8).head?.fields.count == 8)
        #expect(fields(9).error == .tooManyFields(limit: 8))
        for endless in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nA", "HTTP/1.1 200 OK\r\nA: "] {
            let bytes = Array(endless.utf8) + [UInt8](repeating: 0x61, count: 300)
            #expect(ResponseHeadOutcome(Array(bytes[..<255]), limits: limits) == .incomplete)
            #expect(ResponseHeadOutcome(Array(bytes[..<256]), limits: limits).error == .headTooLong(limit: 256))
        }
        #expect(HeadLimits.upstream.headBytes == 65536 && HeadLimits.upstream.fields == 200)
    }

    @Test("ResponseHead: one head after another is read into the same value, whatever the last one left")
    func reuse() {
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        let texts = [
            responseText(
                ["Content-Length: 5", "Content-Type: a", "Location: b", "Connection: close, x"], line: "HTTP/1.0 503 No"
            ),
            "HTTP/2 200 OK\r\n\r\n", responseText(line: "HTTP/1.1 204"), responseText(["Retry-After: 1", "A : b"]),
            responseText(["Transfer-Encoding: chunked"]), responseText(["Content-Length: 0"]),
        ]
        for text in texts {
            let outcome = ResponseHeadOutcome.next(Array(text.utf8), .get, &parser, &head)
            #expect(outcome == ResponseHeadOutcome(text))
        }
        // A head that was begun and given up leaves nothing behind.
        _ = ResponseHeadOutcome.next(Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n".utf8), .get, &parser, &head)
        parser.reset()
        #expect(ResponseHeadOutcome.next(Array(texts[4].utf8), .get, &parser, &head) == ResponseHeadOutcome(texts[4]))
    }

    @Test("ResponseHead: the storage of field lines is lent and returned")
    func room() {
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        var room: [HeadField] = []
        room.reserveCapacity(100)
        let capacity = room.capacity
        head.adoptStorage(room)
        _ = ResponseHeadOutcome.next(Array(responseText(["A: b"]).utf8), .get, &parser, &head)
        #expect(head.fields.count == 1)
        let back = head.takeStorage()
        #expect(back.isEmpty && back.capacity == capacity)
        #expect(head.fields.isEmpty && head.fields.capacity == 0)
    }
}
