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

    @Test("A head in pieces is the same head, wherever it is cut", arguments: samples + refused)
    func everySplit(text: String) {
        let bytes = Array(text.utf8) + Array("\r\nHTTP".utf8)
        let whole = ResponseHeadOutcome(bytes, limits: Self.limits)
        #expect(whole != .incomplete)
        for cut in 0...bytes.count {
            #expect(ResponseHeadOutcome(bytes, cuts: [cut], limits: Self.limits) == whole, "cut at \(cut)")
        }
        #expect(ResponseHeadOutcome(bytes, cuts: Array(0..<bytes.count), limits: Self.limits) == whole)
    }

    @Test("A head in three pieces is the same head, wherever it is cut", arguments: [samples[1], samples[2]])
    func everyTwoSplits(text: String) {
        let bytes = Array(text.utf8)
        let whole = ResponseHeadOutcome(bytes)
        for first in 0..<bytes.count {
            for second in first..<bytes.count {
                guard ResponseHeadOutcome(bytes, cuts: [first, second]) != whole else { continue }
                Issue.record("cut at \(first) and \(second)")
            }
        }
    }

    @Test("A head needs its last byte, and none behind it", arguments: samples)
    func lastByte(text: String) throws {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(ResponseHeadOutcome(Array(bytes[..<count])) == .incomplete)
        }
        let alone = try #require(ResponseHeadOutcome(bytes).head)
        #expect(alone.end == bytes.count)
        for byte in UInt8.min...UInt8.max {
            #expect(ResponseHeadOutcome(bytes + [byte]).head == alone)
        }
    }

    @Test("Whatever one byte is changed to, the parser answers, and what it accepts is well-formed", arguments: samples)
    func everyByteMutated(text: String) {
        let bytes = Array(text.utf8)
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var mutant = bytes
                mutant[index] = byte
                let outcome = ResponseHeadOutcome(mutant)
                if case .head(let head) = outcome { expectWellFormed(head, mutant) }
                guard HeadPropertyTests.suspicious.contains(byte) else { continue }
                guard ResponseHeadOutcome(mutant, cuts: [index, index + 1]) != outcome else { continue }
                Issue.record("byte \(byte) at \(index) is judged otherwise in pieces")
            }
            var mutant = bytes
            mutant.remove(at: index)
            if case .head(let head) = ResponseHeadOutcome(mutant) { expectWellFormed(head, mutant) }
        }
    }

    /// What any two readers must agree on: lines end in CR LF and nowhere else, and hold what their field says.
    private func expectWellFormed(_ head: ReadResponseHead, _ bytes: [UInt8]) {
        let accepted = bytes[..<head.end]
        let lines = accepted.split(separator: 10, omittingEmptySubsequences: false).dropLast()
        var isGood = lines.allSatisfy { $0.last == 13 && $0.dropLast().allSatisfy { $0 == 9 || $0 >= 32 && $0 != 127 } }
        isGood = isGood && lines.count == head.fields.count + 2 && lines.last == [13]
        isGood = isGood && (100...599).contains(head.status) && head.status != 101
        for (line, field) in zip(lines.dropFirst(), head.fields) {
            let text = String(decoding: line.dropLast(), as: UTF8.self)
            let name = text.prefix { $0 != ":" }
            let value = text.dropFirst(name.count + 1).drop { " \t".contains($0) }
            let trimmed = String(value.reversed().drop { " \t".contains($0) }.reversed())
            isGood = isGood && field == "\(name): \(trimmed)" && !name.contains(" ")
        }
        if !isGood { Issue.record("accepted: \(String(decoding: accepted, as: UTF8.self).debugDescription)") }
    }
}
