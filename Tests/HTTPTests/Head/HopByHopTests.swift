import Bytes
import HTTP
import Testing

@Suite("End-to-end field lines")
struct HopByHopTests {
    private func requestLines(
        _ fields: [String], dropping: FieldNameSet = [], droppingOther: (String) -> Bool = { _ in false }
    ) throws -> String {
        let bytes = Array(headText(fields).utf8)
        var parser = RequestHeadParser(limits: HeadLimits(headBytes: 65536, fields: 1000))
        var head = RequestHead()
        #expect(try parser.parse(bytes.span, into: &head))
        var output = Array("before|".utf8)
        head.appendEndToEndFields(
            of: bytes.span, dropping: dropping, droppingOther: { droppingOther($0.text($1)) }, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    private func response(_ fields: [String], line: String = "HTTP/1.1 200 OK") throws -> (ResponseHead, [UInt8]) {
        let bytes = Array((responseText(fields, line: line) + "body").utf8)
        var parser = ResponseHeadParser()
        var head = ResponseHead()
        #expect(try parser.parse(bytes.span, answering: .get, into: &head))
        return (head, bytes)
    }

    /// What goes on behind the status line.
    private func responseLines(_ fields: [String], dropping: FieldNameSet = []) throws -> String {
        let (head, bytes) = try response(fields)
        var output = Array("before|".utf8)
        head.appendStatusAndEndToEndFields(of: bytes.span, dropping: dropping, to: &output)
        let text = String(decoding: output, as: UTF8.self)
        let start = "before|HTTP/1.1 200 OK\r\n"
        try #require(text.hasPrefix(start))
        return String(text.dropFirst(start.count))
    }

    @Test("HopByHop: lines go on byte for byte, but those about the connection do not", arguments: messages)
    func goOn(fields: [String], expected: [String]) throws {
        let lines = expected.map { $0 + "\r\n" }.joined()
        #expect(try requestLines(fields) == "before|Host: a\r\n" + lines)
        #expect(try responseLines(fields) == lines)
        let (head, bytes) = try response(fields)
        let names = head.endToEndFields(of: bytes.span).map { bytes.span.text($0.nameRange) }
        #expect(names == expected.map { String($0.prefix { $0 != ":" }) })
    }

    @Test(
        "HopByHop: the status line goes on with our version and with the space before the reason",
        arguments: statusLines)
    func status(line: String, expected: String) throws {
        for (fields, kept) in [([], ""), (["A: b"], "A: b\r\n"), (["Via: a", "A: b"], "A: b\r\n")] {
            let (head, bytes) = try response(fields, line: line)
            var output = Array("before|".utf8)
            head.appendStatusAndEndToEndFields(of: bytes.span, dropping: [.via], to: &output)
            #expect(String(decoding: output, as: UTF8.self) == "before|" + expected + "\r\n" + kept)
        }
    }

    static let statusLines = [
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK"), ("HTTP/1.0 404 Not there", "HTTP/1.1 404 Not there"),
        ("HTTP/1.1 503", "HTTP/1.1 503 "), ("HTTP/1.0 599 ", "HTTP/1.1 599 "),
    ]

    static let messages: [([String], [String])] = [
        ([], []),
        (["a:b", "B:  \t c d \t", "c:", "Content-Length: 5"], ["a:b", "B:  \t c d \t", "c:", "Content-Length: 5"]),
        (["Connection: close"], []), (["a: b", "cOnnection: Keep-Alive"], ["a: b"]),
        (
            [
                "Keep-Alive: timeout=5", "a: b", "TE: trailers", "Proxy-Connection: keep-alive", "b: c",
                "Transfer-Encoding: chunked", "Upgrade: h2c",
            ], ["a: b", "b: c"]
        ),
        // Nominated in any case, by any line, before or after, as often as it stands there; known names, too.
        (["X-A: 1", "Connection: x-a", "x-b: 2"], ["x-b: 2"]),
        (["Connection: close, X-a ,,\tX-B", "x-A: 1", "x-b: 2", "X-A: 3", "x-c: 4"], ["x-c: 4"]),
        (["Connection: x-a", "Connection: x-b", "x-a: 1", "x-b: 2", "x-ab: 3", "x: 4"], ["x-ab: 3", "x: 4"]),
        (["Connection: traceparent, server", "traceparent: 1", "Server: a", "a: b"], ["a: b"]),
        (["Connection: x-a", "x_a: 1", "x-a-b: 1", "x-: 2"], ["x_a: 1", "x-a-b: 1", "x-: 2"]),
        (["Connection: \"x-a\"", "x-a: 1"], ["x-a: 1"]), (["Connection: x-a;q=1", "x-a: 1"], ["x-a: 1"]),
        // What only looks like Connection nominates nothing.
        (["X-Connection: x-a", "Proxy-Connection: x-a", "x-a: 1"], ["X-Connection: x-a", "x-a: 1"]),
        // Options that name no field.
        (["Connection: close, keep-alive", "close: 1", "a: b"], ["close: 1", "a: b"]),
        (["Connection: x-a, close", "close: 1", "Keep-Alive: 2", "x-a: 3"], ["close: 1"]),
        // A peer cannot take away what frames the message.
        (["Connection: content-length, host", "Content-Length: 5"], ["Content-Length: 5"]),
        (["Connection: authorization", "Authorization: a", "a: b"], ["a: b"]),
    ]

    @Test("HopByHop: the caller drops known names and judges the others by their bytes")
    func dropped() throws {
        let fields = ["Via: a", "X-Gateway-A: 1", "x_gateway_b: 2", "a: b", "X-Forwarded-For: c", "via: d"]
        let kept = try requestLines(fields, dropping: [.host, .via, .xForwardedFor]) {
            ["x-gateway-", "x_gateway_"].contains($0.prefix(10).lowercased())
        }
        #expect(kept == "before|a: b\r\n")
        #expect(
            try requestLines(fields, dropping: [.host, .xForwardedFor]) == "before|"
                + [0, 1, 2, 3, 5].map { fields[$0] + "\r\n" }.joined())
        #expect(
            try responseLines(fields + ["Server: x"], dropping: [.via, .xForwardedFor, .server])
                == fields[1...3].map { $0 + "\r\n" }.joined())
    }

    @Test("HopByHop: the caller judges only names that are not well known, each once")
    func askedAbout() throws {
        var asked: [String] = []
        _ = try requestLines(["Via: a", "x-a: b", "Connection: x-a", "TE: b", "Y: c"]) {
            asked.append($0)
            return false
        }
        #expect(asked == ["x-a", "Y"])
    }

    @Test("HopByHop: every subset of lines can be dropped")
    func subsets() throws {
        let fields = (0..<8).map { "field-\($0): \($0)" }
        for mask in 0..<256 {
            let isKept = { (index: Int) in mask >> index & 1 == 0 }
            let kept = fields.indices.filter(isKept).map { fields[$0] + "\r\n" }.joined()
            let names = fields.indices.filter { !isKept($0) }.map { "Field-\($0)" }
            #expect(try responseLines(fields + ["Connection: " + names.joined(separator: ",")]) == kept)
            let lines = try requestLines(fields, dropping: [.host]) { !isKept(Int($0.suffix(1)) ?? 0) }
            #expect(lines == "before|" + kept)
        }
    }

    @Test("HopByHop: a long list of names is read to its end")
    func manyNominations() throws {
        let options = (0..<10_000).map { _ in "a" }.joined(separator: ",") + ",x-9"
        let fields = ["Connection: " + options] + (0..<900).map { "x-\($0): \($0)" }
        let lines = try requestLines(fields)
        #expect(!lines.contains("x-9:") && lines.contains("x-90:"))
    }
}
