import Testing

@testable import Gateway

@Suite("Inconclusive responses to status polls")
struct PollFailuresTests {
    @Test(
        "PollFailures: three in a row are reported once, with advice, and so is the first usable response after them"
    )
    func telling() {
        var troubles = PollFailures()
        #expect(troubles.record("o", .refused) == nil && troubles.record("o", .refused) == nil)
        let line = troubles.record("o", .refused)
        #expect(line?.contains("ownCredential") == true && line?.contains(" o ") == true)
        for _ in 0..<10 { #expect(troubles.record("o", .failed) == nil) }
        #expect(troubles.record("o", nil)?.contains("again") == true)
        #expect(troubles.record("o", nil) == nil)
        #expect(troubles.record("o", .notFound) == nil && troubles.record("o", nil) == nil, "one is none")
    }

    @Test("PollFailures: an upstream that fails for all organizations does not fill the log")
    func manyOrganizations() {
        var troubles = PollFailures()
        var lines = 0
        for _ in 0..<5 {
            for organization in 0..<100 { lines += troubles.record("o\(organization)", .failed) == nil ? 0 : 1 }
        }
        #expect(lines == PollFailures.maxReported)
    }

    @Test("PollFailures: each kind of inconclusive response has its text")
    func words() {
        let lines = InconclusiveResponse.allCases.map { doubt in
            var troubles = PollFailures()
            return (0..<3).compactMap { _ in troubles.record("o", doubt) }.first
        }
        #expect(Set(lines).count == InconclusiveResponse.allCases.count && !lines.contains(nil))
    }

    @Test("PollFailures: statuses are grouped by what the operator must do")
    func statuses() {
        let expected: [Int: InconclusiveResponse] = [
            401: .refused, 403: .refused, 407: .refused, 404: .notFound, 410: .notFound, 429: .failed, 500: .failed,
            503: .failed, 302: .unreadable, 400: .unreadable,
        ]
        for (status, doubt) in expected { #expect(InconclusiveResponse(status: status) == doubt) }
    }
}
