import JSON
import Testing

@testable import Gateway

@Suite("The article about the access log")
struct LogsArticleTests {
    /// Fields of a line in the order of the table: those of its first column, and what the second one says of them.
    private static func rows() throws -> [(names: [String], text: String)] {
        try Article("Logs").rows(below: "The fields").map { cells in
            (cells[0].split(separator: "`").map(String.init).filter { !$0.contains(" ") }, cells[1])
        }
    }

    /// A record that has something to say in every member.
    private static var full: AccessRecord {
        var record = AccessRecord()
        record.organization = "org"
        record.tokenID = "org/ci"
        record.operation = "jobs.trigger"
        record.connection = "conn"
        record.job = "job"
        record.generation = 5
        record.outcome = .deduplicated
        record.upstreamLag = .retried
        record.idempotency = .first
        record.method = "GET"
        record.client = "192.0.2.1"
        record.path = 0..<1
        record.userAgent = 1..<2
        record.jobInHead = 2..<3
        record.isHTTP10 = false
        record.isTLS13 = true
        record.code = "CODE"
        record.origin = .client
        record.cause = "cause"
        record.limit = "calls"
        record.retryAfterSeconds = 1
        let job = LeaseJob(id: "job", type: "sync", status: "running")
        record.lease = LeaseConflict(
            kind: "sync", state: .held, job: job, heldSince: 0, retryAfterSeconds: 7, traceID: TraceID(high: 3, low: 4))
        record.missingScope = "admin"
        record.requestedOrganization = "org_b"
        record.upstreamError = "error"
        record.upstream = "127.0.0.1:1"
        record.attempts = 2
        return record
    }

    private static func names(_ bytes: [UInt8]) throws -> [String] {
        try JSONValue.read(bytes.span).object?.map(\.name) ?? []
    }

    @Test("LogsArticle: the record of these tests leaves nothing out that a line can have")
    func everything() {
        for child in Mirror(reflecting: Self.full).children {
            let value = Mirror(reflecting: child.value)
            #expect(value.displayStyle != .optional || !value.children.isEmpty, "\(child.label ?? "?")")
            if let range = child.value as? Range<Int> { #expect(!range.isEmpty, "\(child.label ?? "?")") }
        }
    }

    @Test("LogsArticle: each field that is written has its row, and each row is of a field that is written")
    func members() throws {
        var line: [UInt8] = []
        AccessLogLine.append(Self.full, head: Array("abc".utf8).span, to: &line)
        var summary: [UInt8] = []
        AccessLogLine.append(suppressedLines: 3, Self.full, to: &summary)
        let written = try Set(Self.names(line) + Self.names(summary))
        let documented = try Self.rows().flatMap(\.names)
        #expect(Set(documented) == written)
        #expect(documented.count == written.count, "a field has two rows")
    }

    @Test("LogsArticle: the row of a lease names what is in it")
    func lease() throws {
        var line: [UInt8] = []
        AccessLogLine.append(Self.full, head: Array("abc".utf8).span, to: &line)
        let members = try #require(try JSONValue.read(line.span)["lease"]?.object)
        let row = try #require(try Self.rows().first { $0.names == ["lease"] })
        for member in members { #expect(row.text.contains("`\(member.name)`")) }
        #expect(members.count == 6)
    }
}
