import Testing

@testable import Gateway

@Suite("The article about failures")
struct FailuresArticleTests {
    @Test(
        "FailuresArticle: each failure has its row of what the client gets, in the order of the code, and each row its failure"
    )
    func responses() throws {
        let expected = UpstreamFailure.allCases.map { failure in
            let response = ErrorResponse(.failure(Failure(failure)))
            return [
                "`\(failure)`", failure.explanation, "\(response.status) `\(response.code)`", "`\(failure.proxyError)`",
                failure.mayHaveBegunWork ? "perhaps" : "no",
            ]
        }
        let rows = try Article("Failures").rows(below: "What the client gets")
        #expect(rows.count == expected.count)
        for (row, expected) in zip(rows, expected) { #expect(row == expected) }
    }

    @Test("FailuresArticle: each failure has its row of what to do, in the same order")
    func advice() throws {
        let rows = try Article("Failures").rows(below: "What to do")
        #expect(rows.map(\.first) == UpstreamFailure.allCases.map { "`\($0)`" })
        for row in rows { #expect(row.count == 2, "\(row)") }
    }
}
