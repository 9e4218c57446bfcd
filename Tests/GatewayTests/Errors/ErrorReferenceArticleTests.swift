import Testing

@testable import Gateway

@Suite("The error reference")
struct ErrorReferenceArticleTests {
    @Test("ErrorReferenceArticle: each code has its row with message and advice, and each row its code")
    func rows() throws {
        let documented = try Article("ErrorReference").lines.filter { $0.hasPrefix("| 4") || $0.hasPrefix("| 5") }
        let rows = ErrorCode.allCases.map { code in
            let entry = code.entry
            let again = entry.isRetryable ? "yes" : "no"
            return "| \(entry.status) | `\(entry.code)` | \(entry.message) | \(again) | \(entry.advice) |"
        }
        #expect(Set(rows).subtracting(documented) == [])
        #expect(Set(documented).subtracting(rows) == [])
        #expect(documented.count == rows.count)
    }
}
