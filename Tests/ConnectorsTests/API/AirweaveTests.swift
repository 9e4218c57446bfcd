import Foundation
import JSON
import Testing

@testable import Connectors

/// The operations of the Airweave family, over the demo data.
@Suite struct AirweaveTests {
    private static let id = "550e8400-e29b-41d4-a716-446655440000"

    @Test(
        "Airweave paths: a run responds with the SyncJob object, however the path is spelled",
        arguments: [
            "/v1/source-connections/\(id)/run", "/source-connections/\(id)/run", "/v1/source-connections/\(id)/run/",
            "/v1/source-connections/\(id.uppercased())/run?force_full_sync=false",
        ])
    func run(target: String) async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let answer = await bench.send("POST", target, "{}")
        #expect(answer.status == 200)
        let job = try #require(answer["id"]?.string)
        #expect(job.isUUID)
        #expect(
            answer.text == #"{"id":"\#(job)","source_connection_id":"\#(Self.id)","status":"PENDING","#
                + #""started_at":null,"completed_at":null,"duration_seconds":null,"entities_inserted":0,"#
                + #""entities_updated":0,"entities_deleted":0,"entities_failed":0,"error":null,"error_details":null}"#)
        _ = try await bench.end(of: job)
        let list = await bench.send("GET", "/source-connections/\(Self.id)/jobs?limit=5")
        let listed = try #require(list.value?.array?.first)
        #expect(listed["status"]?.string == "COMPLETED")
        #expect(listed["entities_inserted"]?.integer == 9000)
        #expect(listed["duration_seconds"]?.double != nil)
        #expect(bench.rows("documents", "org_xyz789/demo_documents") == bench.source("documents", "demo_documents"))
        await bench.service.shutdown()
    }

    @Test("Airweave paths: a full sync reads everything again, and removes what the source has no more")
    func fullSync() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let path = "/v1/source-connections/\(Self.id)/run"
        let first = await bench.send("POST", path)
        _ = try await bench.end(of: try #require(first["id"]?.string))
        let lines = bench.source("comments", "demo_documents").dropFirst(10).joined(separator: "\n") + "\n"
        try Small.write(lines, "\(bench.directory)/connectors/sources/demo_documents/comments.ndjson")
        let full = await bench.send("POST", path + "?force_full_sync=true")
        _ = try await bench.end(of: try #require(full["id"]?.string))
        let list = await bench.send("GET", "/v1/source-connections/\(Self.id)/jobs")
        let job = try #require(list.value?.array?.first)
        #expect(job["entities_updated"]?.integer == 8990)
        #expect(job["entities_deleted"]?.integer == 10)
        #expect(bench.rows("comments", "org_xyz789/demo_documents").count == 3990)
        await bench.service.shutdown()
    }

    @Test("Airweave paths: every error has the detail that the clients need, beside the envelope")
    func errors() async throws {
        let bench = try Bench {
            $0.rowsPerSecond = 1000
            $0.minimumJobMilliseconds = nil
        }
        defer { bench.remove() }
        let path = "/v1/source-connections/\(Self.id)/run"
        let first = await bench.send("POST", path)
        let job = try #require(first["id"]?.string)
        for (answer, status, detail) in [
            (await bench.send("POST", path), 409, "A sync is already running for: \(Self.id)"),
            (
                await bench.send("POST", "/source-connections/\(UUID().uuidString)/run"), 404,
                "The requested connection was not found."
            ),
            (
                await bench.send("POST", "/source-connections/conn_abc123/run"), 404,
                "The requested connection was not found."
            ),
            (
                await bench.send("POST", path + "?force_full_sync=maybe"), 422,
                "The field force_full_sync must be true or false."
            ),
            (await bench.send("PUT", path), 405, "This path does not have this method."),
        ] {
            #expect(answer.status == status)
            #expect(answer["detail"]?.string == detail)
            #expect(answer.error?["message"]?.string == detail)
        }
        let cancelled = await bench.send("POST", "/source-connections/\(Self.id)/jobs/\(job.uppercased())/cancel")
        #expect(cancelled.status == 200)
        #expect(cancelled["status"]?.string == "CANCELLED")
        let again = await bench.send("POST", "/source-connections/\(Self.id)/jobs/\(job)/cancel")
        #expect(again.status == 400 && again["detail"]?.string != nil)
        let list = await bench.send("GET", "/source-connections/")
        #expect(list.value?.array?.first?["id"]?.string == Self.id)
        #expect(await bench.send("GET", "/source-connections/\(Self.id)")["name"]?.string == "Demo documents")
        await bench.service.shutdown()
    }
}
