import Bytes
import HTTP
import Testing

@Suite("Field lines and what they mean for the message")
struct HeadFieldTests {
    @Test("HeadField: white space around a value does not belong to it; inside it does")
    func whiteSpace() {
        let head = HeadOutcome(headText(["A:b", "A: b", "A:\t b \t ", "A:", "A: ", "A:\t", "A: b \t c", "A: ,"])).head
        #expect(head?.fields.dropFirst() == ["A: b", "A: b", "A: b", "A: ", "A: ", "A: ", "A: b \t c", "A: ,"])
    }

    @Test("HeadField: a field line that is none is refused", arguments: badLines)
    func refuseLine(line: String, error: HeadError) {
        #expect(HeadOutcome(headText([line])).error == error)
    }

    // The request line and `Host: a` take the first 25 bytes.
    static let badLines: [(String, HeadError)] = [
        ("A : b", .invalidFieldName(at: 26)), ("A\t: b", .invalidFieldName(at: 26)),
        ("Content-Length : 5", .invalidFieldName(at: 39)),
        (" folded", .foldedLine(at: 25)), ("\tfolded", .foldedLine(at: 25)), (" A: b", .foldedLine(at: 25)),
        ("nocolon", .invalidFieldName(at: 32)), (": b", .invalidFieldName(at: 25)),
        ("A\u{0}: b", .invalidFieldName(at: 26)),
        ("A\u{e9}: b", .invalidFieldName(at: 26)), ("A(b): c", .invalidFieldName(at: 26)),
        ("A/b: c", .invalidFieldName(at: 26)),
        ("A: \u{0}", .invalidFieldValue(at: 28)), ("A: b\u{0}c", .invalidFieldValue(at: 29)),
        ("A: b\u{7f}", .invalidFieldValue(at: 29)),
        ("A: b\u{1b}[0m", .invalidFieldValue(at: 29)), ("A: b\u{b}", .invalidFieldValue(at: 29)),
        ("A:\u{c}b", .invalidFieldValue(at: 27)),
        // A control that would become a letter or a hyphen if case were folded carelessly.
        ("HOST\r: b", .invalidFieldName(at: 29)), ("X\rapi-key: b", .invalidFieldName(at: 26)),
        ("content\rlength: 5", .invalidFieldName(at: 32)), ("transfer\rencoding: chunked", .invalidFieldName(at: 33)),
        ("x\u{d}api-key: b\u{0}", .invalidFieldName(at: 26)),
        ("Transfer-Encoding\u{b}: chunked", .invalidFieldName(at: 42)),
    ]

    @Test("HeadField: every octet but controls may stand in a value, and every token character in a name")
    func octets() {
        for byte in UInt8.min...UInt8.max {
            var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nname-of-some-length: 12345678".utf8) + [byte]
            bytes += Array("90123456789\r\n\r\n".utf8)
            let isAllowed = byte == 9 || (byte >= 32 && byte != 127)
            #expect((HeadOutcome(bytes).head != nil) == isAllowed, "byte \(byte) in a value")

            bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nn".utf8) + [byte] + Array("n: v\r\n\r\n".utf8)
            let isToken = "!#$%&'*+-.^_`|~:".utf8.contains(byte) || byte < 128 && (byte.isDigit || isLetter(byte))
            #expect((HeadOutcome(bytes).head != nil) == isToken, "byte \(byte) in a name")

            bytes = Array("GET /1234567".utf8) + [byte] + Array("1234567 HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            let isTarget = byte > 32 && byte < 127 && byte != UInt8(ascii: "#")
            #expect((HeadOutcome(bytes).head != nil) == isTarget, "byte \(byte) in a target")
        }
    }

    private func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }

    @Test("HeadField: an HTTP/1.1 request names its host once, an HTTP/1.0 request at most once")
    func hosts() {
        #expect(HeadOutcome(headText(host: false)).error == .missingHost)
        #expect(HeadOutcome(headText(["Host: a"])).error == .repeatedHost)
        #expect(HeadOutcome(headText(["hOST: b"])).error == .repeatedHost)
        #expect(HeadOutcome(headText(line: "GET / HTTP/1.0", host: false)).head != nil)
        #expect(HeadOutcome(headText(["Host: b"], line: "GET / HTTP/1.0")).error == .repeatedHost)
    }

    @Test(
        "HeadField: a host is a name or an address, with a port or without",
        arguments: [
            "localhost", "a.example.com", "a_b-c.d~", "127.0.0.1", "127.0.0.1:8443", "[::1]", "[::1]:8443",
            "[fe80::1:2:3:4]:0", "[::ffff:127.0.0.1]", "A.B", "xn--bcher-kva.example.", "h:", "h:65535", "h:00080",
        ])
    func goodHosts(host: String) {
        #expect(HeadOutcome(headText(["Host: \(host)"], host: false)).head?.host == host)
    }

    @Test(
        "HeadField: what is no host is refused",
        arguments: [
            "", " ", ":", ":8443", "a b", "a,b", "a, a", "user@a", "a/b", "a?b", "a#b", "a\\b", "http://a", "a:b",
            "a:80:80",
            "a:65536", "a:123456", "a:-1", "a:+1", "[", "[]", "[]:80", "[::1", "[::1]x", "[::1]80", "[:]", "[g::]",
            "[1:2:3:4:5:6:7:8:9:a]", "::1", "a%41", "a\u{e9}", "\"a\"", "a;b", "a:80 80", "[v1.a]",
        ])
    func badHosts(host: String) {
        #expect(HeadOutcome(headText(["Host: \(host)"], host: false)).error == .invalidHost)
        #expect(HeadOutcome(headText(["Host: \(host)"], line: "GET / HTTP/1.0", host: false)).error == .invalidHost)
    }

    @Test("HeadField: a length is digits and nothing else", arguments: lengths)
    func readLength(value: String, framing: BodyFraming?) {
        let outcome = HeadOutcome(headText(["Content-Length: \(value)"]))
        if let framing {
            #expect(outcome.head?.framing == framing)
        } else {
            #expect(outcome.error == .invalidContentLength)
        }
    }

    static let lengths: [(String, BodyFraming?)] = [
        ("0", BodyFraming.none), ("1", .length(1)), ("\t 42 ", .length(42)), ("007", .length(7)),
        ("999999999999999999", .length(999_999_999_999_999_999)), ("1000000000000000000", nil),
        ("18446744073709551615", nil), ("18446744073709551616", nil), ("9223372036854775808", nil), ("+5", nil),
        ("-5", nil),
        ("-0", nil), ("5,5", nil), ("5, 5", nil), ("5 5", nil), ("0x5", nil), ("5.0", nil), ("5e1", nil), ("1_0", nil),
        ("", nil), (" ", nil), ("\"5\"", nil), ("5;", nil), ("\u{661}", nil), ("five", nil),
        ("00000000000000000005", nil),
    ]

    @Test("HeadField: lengths in two lines must be the same length")
    func twoLengths() {
        let length = { (values: [String]) in HeadOutcome(headText(values.map { "Content-Length: \($0)" })) }
        #expect(length(["5", "5"]).head?.framing == .length(5))
        #expect(length(["5", "6"]).error == .differingContentLengths)
        #expect(length(["0", "5"]).error == .differingContentLengths)
        #expect(length(["5", "5", "4"]).error == .differingContentLengths)
        #expect(length(["5", "x"]).error == .invalidContentLength)
    }

    @Test("HeadField: `chunked`, alone and once, is the only transfer coding", arguments: codings)
    func readCoding(fields: [String], error: HeadError?) {
        let outcome = HeadOutcome(headText(fields))
        #expect(outcome.error == error)
        if error == nil { #expect(outcome.head?.framing == .chunked) }
    }

    static let codings: [([String], HeadError?)] = [
        (["Transfer-Encoding: chunked"], nil), (["tRANSFER-eNCODING:\tCHUNKed "], nil),
        (["Transfer-Encoding: identity"], .chunkedNotFinal), (["Transfer-Encoding:"], .chunkedNotFinal),
        (["Transfer-Encoding: gzip, chunked"], .unknownTransferCoding),
        (["Transfer-Encoding: chunked, identity"], .chunkedNotFinal),
        (["Transfer-Encoding: chunked,"], .chunkedNotFinal),
        (["Transfer-Encoding: ,chunked"], .chunkedNotFinal),
        (["Transfer-Encoding: chunked;a=b"], .chunkedNotFinal),
        (["Transfer-Encoding: xchunked"], .chunkedNotFinal),
        (["Transfer-Encoding: chunkedx"], .chunkedNotFinal),
        (["Transfer-Encoding: \"chunked\""], .chunkedNotFinal),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], .chunkedNotFinal),
        (["Transfer-Encoding: identity", "Transfer-Encoding: chunked"], .chunkedNotFinal),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], .chunkedNotFinal),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], .contentLengthWithTransferEncoding),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], .contentLengthWithTransferEncoding),
        (["Content-Length: 0", "Transfer-Encoding: chunked"], .contentLengthWithTransferEncoding),
        (["Transfer-Encoding: chun\u{4b}ed", "Content-Length: x"], .invalidContentLength),
    ]

    @Test("HeadField: HTTP/1.0 has no transfer codings")
    func codingInHTTP10() {
        #expect(
            HeadOutcome(headText(["Transfer-Encoding: chunked"], line: "POST / HTTP/1.0")).error
                == .transferEncodingInHTTP10)
    }

    @Test(
        "HeadField: names that only look like framing frame nothing",
        arguments: [
            "Content_Length: 5", "Content-Length5: 5", "Transfer_Encoding: chunked", "X-Transfer-Encoding: chunked",
            "Content-Lengt: 5",
        ])
    func lookAlikes(field: String) {
        #expect(HeadOutcome(headText([field])).head?.framing == BodyFraming.none)
    }

    @Test("HeadField: a connection persists unless a field or the version says otherwise", arguments: connections)
    func readConnection(line: String, fields: [String], keepsAlive: Bool) {
        #expect(HeadOutcome(headText(fields, line: line)).head?.keepsAlive == keepsAlive)
    }

    static let connections: [(String, [String], Bool)] = [
        ("GET / HTTP/1.1", [], true), ("GET / HTTP/1.1", ["Connection: close"], false),
        ("GET / HTTP/1.1", ["Connection: ClOsE"], false), ("GET / HTTP/1.1", ["Connection: keep-alive, Close"], false),
        ("GET / HTTP/1.1", ["Connection:close , x"], false), ("GET / HTTP/1.1", ["Connection: ,,close,,"], false),
        ("GET / HTTP/1.1", ["Connection: closed"], true), ("GET / HTTP/1.1", ["Connection: not close"], true),
        ("GET / HTTP/1.1", ["Connection: \"close\""], true), ("GET / HTTP/1.1", ["Connection:"], true),
        ("GET / HTTP/1.1", ["Connection: x", "Connection: close", "Connection: keep-alive"], false),
        ("GET / HTTP/1.1", Array(repeating: "Connection: close", count: 5), false),
        ("GET / HTTP/1.1", ["Proxy-Connection: close", "X: close"], true),
        ("GET / HTTP/1.0", [], false), ("GET / HTTP/1.0", ["Connection: Keep-Alive"], true),
        ("GET / HTTP/1.0", ["Connection: keep-alive, close"], false),
        ("GET / HTTP/1.0", ["Keep-Alive: timeout=5"], false),
        ("GET / HTTP/1.0", ["Connection: close", "Connection: keep-alive"], false),
    ]

    @Test(
        "HeadField: Connection nominates every field that it names",
        arguments: [
            ([], false), (["Connection: close"], false), (["Connection: Keep-Alive, CLOSE"], false),
            (["Connection: ,\t, "], false), (["Connection: x"], true), (["Connection: close, closed"], true),
            (["Connection: a", "Connection: close"], true), (["Proxy-Connection: x"], false),
        ] as [([String], Bool)])
    func nominations(fields: [String], nominates: Bool) {
        #expect(HeadOutcome(headText(fields)).head?.nominatesFields == nominates)
    }

    @Test(
        "HeadField: `100-continue` is the only expectation, and only where a body may follow", arguments: expectations)
    func readExpectation(line: String, fields: [String], expected: Bool?) {
        let outcome = HeadOutcome(headText(fields, line: line))
        #expect(outcome.head?.expectsContinue == expected)
        if expected == nil { #expect(outcome.error == .unknownExpectation) }
    }

    static let expectations: [(String, [String], Bool?)] = [
        ("POST / HTTP/1.1", ["Expect: 100-continue", "Content-Length: 1"], true),
        ("POST / HTTP/1.1", ["EXPECT: 100-CONTINUE", "Transfer-Encoding: chunked"], true),
        ("POST / HTTP/1.1", ["Expect: 100-continue"], false),
        ("POST / HTTP/1.1", ["Expect: 100-continue", "Content-Length: 0"], false),
        ("POST / HTTP/1.0", ["Expect: 100-continue", "Content-Length: 1"], false),
        ("POST / HTTP/1.1", ["Expect: 200-ok"], nil), ("POST / HTTP/1.1", ["Expect: 100-continue, x"], nil),
        ("POST / HTTP/1.1", ["Expect:"], nil), ("POST / HTTP/1.1", ["Expect: \u{e1}00-continue"], nil),
    ]

    @Test(
        "HeadField: a field that identifies the caller may occur only once",
        arguments: [
            ("Authorization", FieldName.authorization), ("X-API-Key", .apiKey), ("x-organization-id", .organizationID),
            ("Content-Type", .contentType),
        ])
    func singular(name: String, field: FieldName) {
        #expect(HeadOutcome(headText(["\(name): a", "\(name): a"])).error == .repeatedField(field))
    }

    @Test("HeadField: a repeated traceparent is none")
    func repeatedTrace() {
        #expect(HeadOutcome(headText(["traceparent: a", "traceparent: b"])).head?.traceparent == "")
        #expect(HeadOutcome(headText(["traceparent: a", "traceparent: b", "traceparent: c"])).head?.traceparent == "")
    }
}
