import Testing

@testable import Gateway

@Suite("The article about metrics")
struct MetricsArticleTests {
    /// Names with their labels, as the first cells of the tables have them.
    private static func documented() throws -> [String] {
        try Article("Metrics").rows().flatMap { row in
            row[0].split(separator: "`").map(String.init).filter { $0.hasPrefix("gateway_") }
        }
    }

    @Test("Metrics article: each metric has its row, and each row its metric")
    func names() throws {
        var gauges = Metrics.Gauges()
        gauges.journal = LeaseJournal.Usage()
        gauges.idempotency.isJournalAvailable = true
        gauges.polls = PollCounts()
        gauges.upstream = UpstreamUsage(inFlight: 0, waiting: 0, shares: [], endpoints: [])
        var bytes: [UInt8] = []
        Metrics(workerCount: 1).render(gauges, to: &bytes)
        let shown = String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
            .map { String($0.split(separator: " ")[2]) }
        let documented = try Self.documented().map { String($0.prefix { $0 != "{" }) }
        #expect(documented.count == Set(documented).count)
        #expect(Set(documented) == Set(shown))
    }
}
