import Foundation
import JSON
import Testing

@testable import Connectors

/// The operations of the API over real files.
@Suite struct JourneyTests {
    @Test("Sync: a first sync brings every row once, and a second one finds nothing new")
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
        let life = ["running", "succeeded"]
        #expect(bench.events.map(\.job.status) == life + life)
    }
}
extension JourneyTests {
    private static let connection = "\(Bench.prefix)/connections/conn_abc123"

    private func small(cursor: Bool = true, key: Bool = true, rowsPerSecond: Int = 1_000_000) throws -> Bench {
        let directory = try Small.directory(cursor: cursor, key: key, rowsPerSecond: rowsPerSecond)
        return try Bench(Small.options(directory, storage: TrappedStorage()))
    }

    private func id(_ answer: Answer) throws -> String { try #require(answer.startedJob?.id, "\(answer.text)") }

    @Test("Sync: a sync brings new rows behind the old ones and puts changed rows in their place, each once")
    func incremental() async throws {
        let bench = try small()
        defer { bench.remove() }
        _ = try await bench.sync()
        let added = Small.rows("user", 131...140)
        try Small.write(Small.rows("user", 1...130) + added, "\(bench.directory)/source/users.ndjson")
        let second = try await bench.sync()
        #expect(second["rows_synced"]?.integer == 10)
        #expect(bench.smallRows("users") == bench.smallSource("users"))

        let changed = Small.rows("user", 5...7, version: 2, at: 5000) + Small.rows("user", 6...6, version: 3, at: 6000)
        try Small.write(Small.rows("user", 1...130) + added + changed, "\(bench.directory)/source/users.ndjson")
        let third = try await bench.sync()
        #expect(third["rows_synced"]?.integer == 3)
        #expect(bench.smallRows("users").sorted() == CrashTests.latest(bench.smallSource("users")).sorted())
        await bench.service.shutdown()
    }

    @Test("Sync: a refresh re-reads its streams without doubling a row", arguments: [true, false])
    func refresh(hasKey: Bool) async throws {
        let bench = try small(key: hasKey)
        defer { bench.remove() }
        _ = try await bench.sync()
        // Gone from the source: a refresh keeps it in the destination, one with remove_records does not.
        try Small.write(Small.rows("user", 2...130), "\(bench.directory)/source/users.ndjson")
        let kept = await bench.send("POST", "\(Self.connection)/refresh", #"{"streams":["users"]}"#)
        #expect(kept.text == #"{"status":"refreshing"}"#)
        let job = try await bench.end(of: try id(kept))
        #expect(job["job_type"]?.string == "refresh")
        #expect(job["rows_synced"]?.integer == 129)
        #expect(bench.smallRows("users").count == (hasKey ? 130 : 129))
        let removed = await bench.send(
            "POST", "\(Self.connection)/refresh", #"{"streams":["users"],"remove_records":true}"#)
        _ = try await bench.end(of: try id(removed))
        #expect(bench.smallRows("users") == bench.smallSource("users"))
        #expect(bench.smallRows("orders").count == 60)
        let all = await bench.send("POST", "\(Self.connection)/refresh", #"{"streams":[]}"#)
        #expect(try await bench.end(of: try id(all))["rows_synced"]?.integer == 189)
        await bench.service.shutdown()
    }

    @Test("Sync: a clear erases rows and cursors of its streams, a reset those of all")
    func clearAndReset() async throws {
        let bench = try small()
        defer { bench.remove() }
        _ = try await bench.sync()
        let clear = await bench.send("POST", "\(Self.connection)/clear", #"{"streams":["users"]}"#)
        #expect(clear.text == #"{"status":"clearing"}"#)
        #expect(try await bench.end(of: try id(clear))["job_type"]?.string == "clear")
        #expect(bench.smallRows("users").isEmpty)
        #expect(bench.smallRows("orders").count == 60)
        let state = await bench.send("GET", "\(Self.connection)/state")
        #expect(state["state"]?["users"] == nil && state["state"]?["orders"] != nil)
        _ = try await bench.end(of: try id(await bench.trigger("conn_abc123", "reset")))
        #expect(bench.smallRows("orders").isEmpty)
        #expect(
            await bench.send("GET", "\(Self.connection)/state").text == #"{"state":{},"state_type":"not_set"}"#)
        #expect(try await bench.sync()["rows_synced"]?.integer == 190)
        await bench.service.shutdown()
    }

    @Test("Sync: a state that was set decides where the next sync starts")
    func setState() async throws {
        let bench = try small()
        defer { bench.remove() }
        let half = Timestamp(milliseconds: 1_700_000_000_000 + 100_000).iso8601
        let body = #"{"state":{"users":{"cursor":"\#(half)","note":1e400}},"state_type":"stream"}"#
        let answer = await bench.send("PATCH", "\(Self.connection)/state", body)
        #expect(answer.status == 200)
        #expect(answer.text == #"{"state":{"users":{"cursor":"\#(half)","note":1e400}},"state_type":"stream"}"#)
        #expect(await bench.send("GET", "\(Self.connection)/state").text == answer.text)
        #expect(try await bench.sync()["rows_synced"]?.integer == 30 + 60)
        #expect(bench.smallRows("users") == Array(bench.smallSource("users").suffix(30)))
        // Back to the beginning: the rows that are there are replaced.
        #expect(await bench.send("PATCH", "\(Self.connection)/state", #"{"state":{}}"#).status == 200)
        #expect(try await bench.sync()["rows_synced"]?.integer == 190)
        #expect(bench.smallRows("users").count == 130)
        await bench.service.shutdown()
    }

    @Test("Sync: a stream without a cursor field is replaced by what the source has now")
    func fullStream() async throws {
        let bench = try small(cursor: false)
        defer { bench.remove() }
        _ = try await bench.sync()
        try Small.write(Small.rows("user", 3...5), "\(bench.directory)/source/users.ndjson")
        #expect(try await bench.sync()["rows_synced"]?.integer == 63)
        #expect(bench.smallRows("users") == bench.smallSource("users"))
        #expect(bench.smallRows("orders") == bench.smallSource("orders"))
        await bench.service.shutdown()
    }

    @Test("Sync: one job runs on a connection, and refusals of others name it and its location")
    func oneJob() async throws {
        let bench = try small(rowsPerSecond: 20)
        defer { bench.remove() }
        let first = try id(await bench.trigger())
        for answer in [
            await bench.trigger(), await bench.trigger("conn_abc123", "reset"),
            await bench.send("POST", "\(Self.connection)/refresh", #"{"streams":[]}"#),
            await bench.send("POST", "\(Self.connection)/clear", #"{"streams":[]}"#),
        ] {
            #expect(answer.status == 409)
            #expect(answer.code == "CONNECTOR_JOB_ALREADY_RUNNING")
            #expect(answer.error?["message"]?.string == "A sync is already running for: conn_abc123")
            #expect(answer.error?["details"]?["active_job"]?["id"]?.string == first)
            #expect(answer.headers["Location"] == "\(Bench.prefix)/jobs/\(first)")
            #expect(Int(answer.headers["Retry-After"] ?? "") ?? 0 >= 1)
        }
        let patch = await bench.send("PATCH", "\(Self.connection)/state", #"{"state":{}}"#)
        #expect(patch.status == 409 && patch.code == "CONNECTOR_STATE_LOCKED")
        #expect(patch.headers["Location"] == "\(Bench.prefix)/jobs/\(first)")
        #expect(bench.service.runningJobs().map(\.id) == [first])
        #expect(bench.service.connection(ofJob: first, organization: Bench.organization) == "conn_abc123")
        #expect(bench.service.connection(ofJob: first, organization: "org_other42") == nil)

        let cancel = await bench.send("DELETE", "\(Bench.prefix)/jobs/\(first)")
        #expect(cancel.status == 204 && cancel.body.isEmpty)
        let job = await bench.send("GET", "\(Bench.prefix)/jobs/\(first)")
        #expect(job["status"]?.string == "cancelled")
        let rows = bench.smallRows("users").count
        #expect(job["rows_synced"]?.integer == Int64(rows) && rows < 130)
        let again = await bench.send("DELETE", "\(Bench.prefix)/jobs/\(first)")
        #expect(again.status == 409 && again.code == "CONNECTOR_JOB_NOT_RUNNING")
        #expect(bench.service.runningJobs().isEmpty)

        let retry = await bench.send("POST", "\(Bench.prefix)/jobs/\(first)/retry")
        #expect(retry["status"]?.string == "pending" && retry["job_id"]?.string != first)
        #expect(await bench.send("DELETE", "\(Bench.prefix)/jobs/\(try id(retry))").status == 204)
        await bench.service.shutdown()
    }

    @Test("Sync: of many triggers at once exactly one wins")
    func race() async throws {
        let bench = try small(rowsPerSecond: 20)
        defer { bench.remove() }
        let statuses = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<64 { group.addTask { await bench.trigger().status } }
            return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
        #expect(statuses == [200: 1, 409: 63])
        await bench.service.shutdown()
    }

    @Test("Sync: a service that stops goes on with its job after the next start")
    func resume() async throws {
        let bench = try small(rowsPerSecond: 150)
        defer { bench.remove() }
        let first = try id(await bench.trigger())
        while bench.smallRows("users").isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        await bench.service.shutdown()
        let second = try Bench(Small.options(bench.directory))
        #expect(second.service.runningJobs().map(\.id) == [first])
        let job = try await second.end(of: first)
        #expect(job["status"]?.string == "succeeded" && job["rows_synced"]?.integer == 190)
        #expect(second.smallRows("users") == second.smallSource("users"))
        #expect(second.events.map(\.kind) == [.ended(status: "succeeded")])
        await second.service.shutdown()
    }
}
