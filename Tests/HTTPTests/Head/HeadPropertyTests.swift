import HTTP
import Testing

@Suite("Properties of the head parser")
struct HeadPropertyTests {
    static let samples: [String] = [
        headText(),
        headText(line: "OPTIONS * HTTP/1.0", host: false),
        "\r\n" + headText(["Transfer-Encoding: chunked", "Expect: 100-continue"], line: "POST /a?b HTTP/1.1"),
        headText(
            [
                "Authorization: Bearer 0123456789abcdef", "X-Organization-Id:\torg ", "Content-Length: 12", "Empty:",
                "a-name-that-is-not-known: \t v\t",
            ],
            line: "PUT https://h:8443/path/of/some/length?and=query HTTP/1.1"),
    ]

    /// Heads that are refused, each at another place.
    static let refused: [String] = [
        "\rGET / HTTP/1.1\r\n", "GET / HTTP/1.10\r\n", "GET  / HTTP/1.1\r\n", "FOO / HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "GET /#a HTTP/1.1\r\n", "GET http://u@h/ HTTP/1.1\r\n", headText(["A : b"]), headText(["A: b", " c"]),
        headText(["Content-Length: 5", "Content-Length: 6"]),
        headText(["Transfer-Encoding: chunked", "Content-Length: 5"]),
        headText(["A: b\u{0}"]), headText(["A: b\rc"]), headText(["A: b\nc"]), headText(host: false),
        headText(["Host: b"]),
        headText(["x\rapi-key: v"]), headText(["Expect: x"]), headText(["A: " + String(repeating: "b", count: 300)]),
        "GET /" + String(repeating: "a", count: 100), String(repeating: "A", count: 40),
    ]

    private static let limits = HeadLimits(targetBytes: 64, headBytes: 256, fields: 8)

    private let plain = HeadProperties { HeadOutcome($0, cuts: $1) }
    private let tight = HeadProperties { HeadOutcome($0, cuts: $1, limits: Self.limits) }

    @Test("RequestHeadParser: a head in pieces is the same head, wherever it is cut", arguments: samples + refused)
    func everySplit(text: String) { tight.expectSameInTwo(Array((text + "GET").utf8)) }

    @Test(
        "RequestHeadParser: a head in three pieces is the same head, wherever it is cut",
        arguments: [samples[2], samples[1]])
    func everyTwoSplits(text: String) { plain.expectSameInThree(Array(text.utf8)) }

    @Test("RequestHeadParser: a head needs its last byte, and none behind it", arguments: samples)
    func lastByte(text: String) throws { try plain.expectEnd(Array(text.utf8)) }

    @Test(
        "RequestHeadParser: after any changed byte, what the parser accepts is well-formed",
        arguments: samples)
    func everyByteMutated(text: String) { plain.expectSenseWithOneByteChanged(Array(text.utf8)) }

    @Test(
        "RequestHeadParser: after any inserted or removed byte, what the parser accepts is well-formed",
        arguments: samples)
    func everyByteInserted(text: String) { plain.expectSenseWithOneByteMoreOrLess(Array(text.utf8)) }

    @Test("RequestHeadParser: the parser reads nothing behind the bytes it is given", arguments: samples + refused)
    func pageGuard(text: String) {
        expectNothingReadBehind(Array(text.utf8)) { bytes in
            var parser = RequestHeadParser(limits: Self.limits)
            var head = RequestHead()
            _ = try? parser.parse(bytes, into: &head)
        }
    }
}

extension ReadHead {
    /// One empty line may come before a request (RFC 9112, section 2.2).
    func skips(_ line: [UInt8]) -> Bool { line == [13] }
}
