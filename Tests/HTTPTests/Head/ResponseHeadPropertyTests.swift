import HTTP
import Testing

@Suite("Properties of the response head parser")
struct ResponseHeadPropertyTests {
    static let samples: [String] = [
        responseText(), responseText(line: "HTTP/1.0 200"),
        responseText(["Content-Length: 5", "Connection: close,\tx-a", "Retry-After: 7"], line: "HTTP/1.1 503 Not now"),
        responseText(["Transfer-Encoding: chunked", "X-RateLimit-Remaining: 12", "Empty:", "a-name: \t v\t"]),
        responseText(["Link: </a>"], line: "HTTP/1.1 103 Early Hints"),
    ]

    /// Heads that are refused, each at another place.
    static let refused: [String] =
        ResponseHeadTests.badLines.filter { !$0.0.isEmpty }.map(\.0)
        + ResponseHeadTests.badFields.map { responseText([$0.0]) }
        + ResponseHeadTests.contradictions.map { responseText($0.0) } + [
            responseText(line: "HTTP/1.1 101 Switching Protocols"),
            responseText(["Content-Length: 1"], line: "HTTP/1.1 204"),
            responseText(["A: " + String(repeating: "b", count: 300)]),
            responseText(Array(repeating: "A: b", count: 20)),
        ]

    private static let limits = HeadLimits(headBytes: 256, fields: 8)

    private let plain = HeadProperties { ResponseHeadOutcome($0, cuts: $1) }
    private let tight = HeadProperties { ResponseHeadOutcome($0, cuts: $1, limits: Self.limits) }

    @Test("ResponseHeadParser: a head in pieces is the same head, wherever it is cut", arguments: samples + refused)
    func everySplit(text: String) { tight.expectSameInTwo(Array((text + "\r\nHTTP").utf8)) }

    @Test(
        "ResponseHeadParser: a head in three pieces is the same head, wherever it is cut",
        arguments: [samples[1], samples[2]])
    func everyTwoSplits(text: String) { plain.expectSameInThree(Array(text.utf8)) }

    @Test("ResponseHeadParser: a head needs its last byte, and none behind it", arguments: samples)
    func lastByte(text: String) throws { try plain.expectEnd(Array(text.utf8)) }

    @Test(
        "ResponseHeadParser: after any changed byte, what the parser accepts is well-formed",
        arguments: samples)
    func everyByteMutated(text: String) { plain.expectSenseWithOneByteChanged(Array(text.utf8)) }

    @Test(
        "ResponseHeadParser: after any inserted or removed byte, what the parser accepts is well-formed",
        arguments: samples)
    func everyByteInserted(text: String) { plain.expectSenseWithOneByteMoreOrLess(Array(text.utf8)) }

    @Test(
        "ResponseHeadParser: whatever the digits of the status are, none but a possible final or interim status is accepted"
    )
    func everyStatus() {
        for number in 0...999 {
            let digits = String(String(1000 + number).dropFirst())
            let head = ResponseHeadOutcome(responseText(line: "HTTP/1.1 \(digits) x")).head
            #expect(head?.status == ((100...599).contains(number) && number != 101 ? number : nil))
        }
    }

    @Test("ResponseHeadParser: the parser reads nothing behind the bytes it is given", arguments: samples + refused)
    func pageGuard(text: String) {
        expectNothingReadBehind(Array(text.utf8)) { bytes in
            var parser = ResponseHeadParser(limits: Self.limits)
            var head = ResponseHead()
            _ = try? parser.parse(bytes, answering: .get, into: &head)
        }
    }
}

extension ReadResponseHead {
    func skips(_ line: [UInt8]) -> Bool { false }
}
