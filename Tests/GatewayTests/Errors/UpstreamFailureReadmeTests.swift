import Foundation
import Testing

@testable import Gateway

@Suite("The README's table of what can go wrong behind the gateway")
struct UpstreamFailureReadmeTests {
    /// The cells of each row, without the last one: advice is for people to write.
    private static func rows() throws -> [[String]] {
        let readme = try String(contentsOf: repository.appendingPathComponent("README.md"), encoding: .utf8)
        let section = readme.components(separatedBy: "\n### What can go wrong behind the gateway\n").last ?? ""
        let lines = section.components(separatedBy: "\n#").first?.split(separator: "\n") ?? []
        return lines.filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }.dropLast()
        }
    }

    @Test("Each failure has its row, in the order of the code, and no row is without one")
    func table() throws {
        let expected = UpstreamFailure.allCases.map { failure in
            let answer = ErrorResponse(.failure(Failure(failure)))
            return [
                "`\(failure)`", failure.explanation, "\(answer.status) `\(answer.code)`", "`\(failure.proxyError)`",
                failure.mayHaveBegunWork ? "perhaps" : "no",
            ]
        }
        let rows = try Self.rows()
        #expect(rows.count == expected.count)
        for (row, expected) in zip(rows, expected) { #expect(row == expected) }
    }
}
