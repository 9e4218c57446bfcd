import HTTP
import Testing

@Suite("Limits of a request head")
struct HeadLimitTests {
    private let limits = HeadLimits(targetBytes: 64, headBytes: 256, fields: 8)

    @Test("Head limits: a target may be as long as its limit and not a byte longer")
    func target() {
        let head = {
            HeadOutcome(headText(line: "GET /\(String(repeating: "a", count: $0 - 1)) HTTP/1.1"), limits: limits)
        }
        #expect(head(64).head?.target.utf8.count == 64)
        #expect(head(65).error == .targetTooLong(limit: 64))
        // Told at the first byte too many, not at the end of the line.
        let endless = "GET /" + String(repeating: "a", count: 64)
        #expect(HeadOutcome(String(endless.dropLast()), limits: limits) == .incomplete)
        #expect(HeadOutcome(endless, limits: limits).error == .targetTooLong(limit: 64))
        #expect(HeadOutcome(String(endless.dropLast()) + "#", limits: limits).error == .invalidTarget(at: 68))
    }

    @Test("Head limits: a head may be as long as its limit and not a byte longer")
    func head() {
        let head = { (bytes: Int) in
            let fill = bytes - headText(["A: "]).utf8.count
            return HeadOutcome(headText(["A: " + String(repeating: "a", count: fill)]) + "body", limits: limits)
        }
        #expect(head(256).head?.end == 256)
        #expect(head(257).error == .headTooLong(limit: 256))
        #expect(head(4000).error == .headTooLong(limit: 256))
    }

    @Test("Head limits: a head without an end is given up at its limit", arguments: ["a", "A:", "A: b\r\n", "\t"])
    func endless(piece: String) {
        let limits = HeadLimits(targetBytes: 64, headBytes: 256, fields: 1000)
        var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nA:".utf8)
        while bytes.count < 300 { bytes += Array(piece.utf8) }
        #expect(HeadOutcome(Array(bytes[..<255]), limits: limits) == .incomplete)
        #expect(HeadOutcome(Array(bytes[..<256]), limits: limits).error == .headTooLong(limit: 256))
        #expect(HeadOutcome(bytes, limits: limits).error == .headTooLong(limit: 256))
    }

    @Test("Head limits: a target that fills the head is the target's fault")
    func targetFillsHead() {
        let limits = HeadLimits(targetBytes: 1000, headBytes: 100)
        let text = "GET /" + String(repeating: "a", count: 200)
        #expect(HeadOutcome(text, limits: limits).error == .targetTooLong(limit: 1000))
    }

    @Test("Head limits: there may be as many fields as the limit says")
    func fields() {
        let head = { HeadOutcome(headText(Array(repeating: "A: b", count: $0 - 1)), limits: limits) }
        #expect(head(8).head?.fields.count == 8)
        #expect(head(9).error == .tooManyFields(limit: 8))
    }
}
