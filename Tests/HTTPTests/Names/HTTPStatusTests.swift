import Bytes
import HTTP
import Testing

@Suite("Status codes and bytes")
struct HTTPStatusTests {
    @Test(
        "HTTPStatus: a status line is version, code and reason",
        arguments: [
            (200, "HTTP/1.1 200 OK\r\n"), (204, "HTTP/1.1 204 No Content\r\n"),
            (413, "HTTP/1.1 413 Content Too Large\r\n"),
            (422, "HTTP/1.1 422 Unprocessable Content\r\n"), (429, "HTTP/1.1 429 Too Many Requests\r\n"),
            (499, "HTTP/1.1 499 Client Closed Request\r\n"), (599, "HTTP/1.1 599 \r\n"),
        ])
    func lines(code: Int, line: String) {
        #expect(String(decoding: HTTPStatus.line(code), as: UTF8.self) == line)
    }

    @Test("HTTPStatus: every code has a line of its own", arguments: 100...599)
    func everyCode(code: Int) {
        let line = String(decoding: HTTPStatus.line(code), as: UTF8.self)
        #expect(line == "HTTP/1.1 \(code) \(HTTPStatus.reason(code))\r\n")
    }

    @Test("HTTPStatus: interim answers, 204 and 304 have no body")
    func bodies() {
        #expect((100...599).filter(HTTPStatus.hasNoBody) == Array(100...199) + [204, 304])
    }

    @Test("HTTPStatus: methods that ask for no change are safe")
    func safeMethods() {
        #expect(HTTPMethod.allCases.filter(\.isSafe) == [.get, .head, .options])
    }

    @Test(
        "HTTPStatus: numbers are appended in decimal",
        arguments: [0, 7, 10, 99, 100, 200, 12345, 99999, 1_700_000_000, .max])
    func decimals(number: Int) {
        var bytes = Array("x".utf8)
        bytes.append(decimal: number)
        #expect(String(decoding: bytes, as: UTF8.self) == "x\(number)")
    }

    @Test("HTTPStatus: parts of a span are appended as they are")
    func spans() {
        let source = (0..<100).map { UInt8($0) }
        for range in [0..<0, 0..<1, 5..<12, 5..<13, 5..<14, 0..<100, 93..<100, 100..<100] {
            var bytes: [UInt8] = [255]
            bytes.append(source.span, range)
            #expect(bytes == [255] + source[range])
            #expect(source.span.array(range) == Array(source[range]))
        }
        var bytes: [UInt8] = []
        for _ in 0..<50 { bytes.append(source.span, 3..<50) }
        #expect(bytes == (0..<50).flatMap { _ in source[3..<50] })
    }

    @Test("HTTPStatus: bytes that are not UTF-8 become text all the same")
    func text() {
        #expect([0x61, 0xFF, 0x62].span.text(0..<3) == "a\u{fffd}b")
    }

    @Test(
        "HTTPStatus: white space around a range is left out",
        arguments: [("", ""), (" \t", ""), (" a b\t", "a b"), ("a", "a")])
    func trimming(text: String, trimmed: String) {
        let bytes = Array(text.utf8)
        #expect(bytes.span.text(bytes.span.trimmed(0..<bytes.count)) == trimmed)
    }

    @Test("HTTPStatus: a spelling is compared in any case, and letters only match letters")
    func spelling() {
        let spells = { (text: String, spelling: String) in
            let bytes = Array(text.utf8)
            return bytes.span.spells(spelling, in: 0..<bytes.count)
        }
        #expect(spells("BEARER x", "bearer x"))
        #expect(!spells("BEARER", "bearer x"))
        #expect(!spells("B\u{5}ARER", "bearer"))
        #expect(!spells("a\r", "a-"))
        #expect(!spells("[", "{"))
    }
}
