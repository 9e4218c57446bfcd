import Foundation
import Testing

@testable import Gateway

@Suite("The error reference")
struct ErrorReferenceTests {
    @Test("Each code has its row with message and advice, and each row its code")
    func rows() throws {
        let article = repository.appendingPathComponent("Sources/Gateway/Documentation.docc/ErrorReference.md")
        let lines = try String(contentsOf: article, encoding: .utf8).split(separator: "\n").map(String.init)
        let documented = lines.filter { $0.hasPrefix("| 4") || $0.hasPrefix("| 5") }
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
