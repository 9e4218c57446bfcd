import Foundation
import JSON
import Testing

@testable import Connectors

/// The operations of the API over real files.
@Suite struct JourneyTests {
    @Test("A first sync brings every row once, and a second one finds nothing new")
    func firstSync() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let before = await bench.send("GET", "\(Bench.prefix)/connections/conn_abc123/state")
        #expect(before.text == #"{"state":{},"state_type":"not_set"}"#)

        let answer = await bench.trigger()
        #expect(answer.status == 200)
        #expect(answer["status"]?.string == "pending")
        #expect(answer["duration"] == nil && answer["start_time"] == nil)
        let id = try #require(answer["job_id"]?.string)
        #expect(answer.startedJob?.id == id)
        let job = try await bench.end(of: id)
        #expect(job["status"]?.string == "succeeded")
        #expect(job["rows_synced"]?.integer == 15_000)
        #expect(bench.rows("users") == bench.source("users"))
        #expect(bench.rows("orders") == bench.source("orders"))
        let bytes = (bench.rows("users") + bench.rows("orders")).reduce(0) { $0 + $1.utf8.count + 1 }
        #expect(job["bytes_synced"]?.integer == Int64(bytes))
        #expect(job["duration"]?.string?.hasPrefix("PT") == true)

        let state = await bench.send("GET", "\(Bench.prefix)/connections/conn_abc123/state")
        #expect(
            state.text
                == #"{"state":{"users":{"cursor":"2024-06-15T10:30:00Z"},"orders":{"cursor":"2024-06-15T09:00:00Z"}},"state_type":"stream"}"#
        )
        let again = try await bench.sync()
        #expect(again["rows_synced"]?.integer == 0)
        #expect(bench.rows("users").count == 5000)
        #expect(bench.events.map(\.kind).count == 4)
    }
}
