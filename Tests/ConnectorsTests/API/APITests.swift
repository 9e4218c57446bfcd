import Foundation
import JSON
import Synchronization
import Testing

@testable import Connectors

/// What the API refuses, and how lists are filtered.
@Suite struct APITests {
    private static let p = Bench.prefix
    private static let connection = "\(Bench.prefix)/connections/conn_abc123"

    @Test("ConnectorAPI: a request that is wrong gets 422 with the name of the field")
    func validation() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let jobs = "\(Self.p)/jobs"
        for (method, target, body, field) in [
            ("POST", jobs, #"{"job_type":"sync"}"#, "connection_id"),
            ("POST", jobs, #"{"connectionId":"conn_abc123"}"#, "job_type"),
            ("POST", jobs, #"{"connectionId":7,"jobType":"sync"}"#, "connectionId"),
            ("POST", jobs, #"{"connection_id":"conn_abc123","job_type":"refresh"}"#, "job_type"),
            ("POST", jobs, #"{"connection_id":"conn_abc123","job_type":"sync","x":1}"#, "x"),
            ("POST", jobs, "[]", "body"),
            ("POST", "\(Self.connection)/refresh", "{}", "streams"),
            ("POST", "\(Self.connection)/refresh", #"{"streams":"users"}"#, "streams"),
            ("POST", "\(Self.connection)/refresh", #"{"streams":["users",1]}"#, "streams[1]"),
            ("POST", "\(Self.connection)/refresh", #"{"streams":["user"]}"#, "streams[0]"),
            ("POST", "\(Self.connection)/refresh", #"{"streams":[],"remove_records":1}"#, "remove_records"),
            ("POST", "\(Self.connection)/clear", #"{"streams":[],"remove_records":true}"#, "remove_records"),
            ("PATCH", "\(Self.connection)/state", #"{"state_type":"stream"}"#, "state"),
            ("PATCH", "\(Self.connection)/state", #"{"state":[]}"#, "state"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{},"state_type":"streams"}"#, "state_type"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{"user":{}}}"#, "state.user"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{"users":"2024"}}"#, "state.users"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{"users":{"cursor":[]}}}"#, "state.users.cursor"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{"users":{}},"state_type":"not_set"}"#, "state"),
            ("PATCH", "\(Self.connection)/state", #"{"state":{},"merge":true}"#, "merge"),
            ("GET", jobs + "?limit=0", "", "limit"), ("GET", jobs + "?limit=101", "", "limit"),
            ("GET", jobs + "?status=s" + String(repeating: "%CC%95%CC%80", count: 200), "", "status"),
            ("GET", jobs + "?limit=ten", "", "limit"), ("GET", jobs + "?offset=-1", "", "offset"),
            ("GET", jobs + "?status=done", "", "status"), ("GET", jobs + "?job_type=full", "", "job_type"),
            ("GET", jobs + "?order_by=name", "", "order_by"),
            ("GET", jobs + "?order_by=createdAt%7CUP", "", "order_by"),
            ("GET", jobs + "?created_at_start=yesterday", "", "created_at_start"),
            ("GET", jobs + "?limit=1&limit=2", "", "limit"), ("GET", jobs + "?status=%F", "", "query"),
        ] {
            let answer = await bench.send(method, target, body)
            #expect(answer.status == 422, "\(method) \(target) \(body): \(answer.text)")
            #expect(answer.code == "VALIDATION_ERROR")
            #expect(answer.field == field, "\(method) \(target) \(body): \(answer.text)")
        }
        for body in ["", "{", #"{"streams":[],"streams":[]}"#] {
            let answer = await bench.send("POST", "\(Self.connection)/clear", body)
            #expect(answer.status == 400 && answer.code == "INVALID_JSON")
        }
        let both = await bench.send("POST", jobs, #"{"connection_id":"a","connectionId":"b","job_type":"sync"}"#)
        #expect(both.status == 400 && both.code == "CONFLICTING_FIELDS" && both.field == "connectionId")
        #expect(bench.events.isEmpty)
        await bench.service.shutdown()
    }

    @Test("ConnectorAPI: a resource of another organization has the same response as a missing one, byte for byte")
    func isolation() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let other = "/v1/organizations/org_other42/knowledge/connectors"
        let body = #"{"connection_id":"conn_other1","job_type":"sync"}"#
        let started = await bench.send("POST", "\(other)/jobs", body, organization: "org_other42")
        let foreign = try #require(started["job_id"]?.string)
        let absent = "job_" + String(repeating: "0", count: foreign.utf8.count - 4)
        func same(_ method: String, _ target: (String) -> String, _ body: (String) -> String, _ ids: (String, String))
            async
        {
            let first = await bench.send(method, target(ids.0), body(ids.0))
            let second = await bench.send(method, target(ids.1), body(ids.1))
            #expect(first.status == second.status)
            #expect(first.headers == second.headers)
            // The timestamp is removed, because its length varies: a whole second has no fraction.
            let timeless: (Answer) -> String = { $0.text.replacing(/"timestamp":"[^"]*"/, with: "") }
            #expect(timeless(first) == timeless(second))
            #expect(first.status == 404 || first.text == #"{"data":[],"total":0}"#, "\(method) \(target(ids.0))")
        }
        let connections = ("conn_other1", "conn_absent")
        await same("GET", { "\(Self.p)/connections/\($0)/state" }, { _ in "" }, connections)
        await same("GET", { "\(Self.p)/connections/\($0)" }, { _ in "" }, connections)
        await same("GET", { "\(Self.p)/jobs?connection_id=\($0)" }, { _ in "" }, connections)
        await same("PATCH", { "\(Self.p)/connections/\($0)/state" }, { _ in #"{"state":{}}"# }, connections)
        await same(
            "POST", { "\(Self.p)/connections/\($0)/refresh" }, { _ in #"{"streams":["contacts"]}"# }, connections)
        await same("POST", { "\(Self.p)/connections/\($0)/clear" }, { _ in #"{"streams":[]}"# }, connections)
        await same(
            "POST", { _ in "\(Self.p)/jobs" }, { #"{"connection_id":"\#($0)","job_type":"sync"}"# }, connections)
        await same("POST", { "/source-connections/\($0)/run" }, { _ in "" }, connections)
        for method in ["GET", "DELETE"] {
            await same(method, { "\(Self.p)/jobs/\($0)" }, { _ in "" }, (foreign, absent))
        }
        await same("POST", { "\(Self.p)/jobs/\($0)/retry" }, { _ in "" }, (foreign, absent))
        #expect(await bench.send("GET", "\(other)/connections/conn_other1/state").status == 404)
        await bench.service.shutdown()
    }

    @Test("ConnectorAPI: a list of jobs is filtered, ordered and paged")
    func list() async throws {
        let clock = Counter(1_704_060_000_000)
        let bench = try Bench(
            Small.options(try Small.directory(rowsPerSecond: 1_000_000), storage: TrappedStorage()).with(clock))
        defer { bench.remove() }
        var ids: [String] = []
        for type in ["sync", "reset", "sync"] {
            clock.set(1_704_060_000_000 + Int64(ids.count) * 3_600_000)
            let id = try #require(await bench.trigger("conn_abc123", type)["job_id"]?.string)
            _ = try await bench.end(of: id)
            ids.append(id)
        }
        for (query, expected, total) in [
            ("", [0, 1, 2], 3), ("?connection_id=conn_abc123&foo=bar", [0, 1, 2], 3), ("?job_type=reset", [1], 1),
            ("?connectionId=conn_none", [], 0), ("?status=running", [], 0), ("?status=queued", [], 0),
            ("?status=succeeded&limit=2", [0, 1], 3), ("?limit=2&offset=2", [2], 3), ("?offset=3", [], 3),
            ("?order_by=createdAt%7CDESC", [2, 1, 0], 3), ("?order_by=created_at|ASC", [0, 1, 2], 3),
            ("?order_by=updatedAt%7CDESC&limit=1", [2], 3), ("?order_by=updated_at", [0, 1, 2], 3),
            ("?created_at_start=2024-01-01T00%3A30%3A00%2B02%3A00", [1, 2], 2),
            ("?created_at_start=2023-12-31T22:00:00Z&created_at_end=2023-12-31T23:00:00Z", [0, 1], 2),
            ("?created_at_end=2023-12-31T21:59:59Z", [], 0), ("?status=&limit=", [0, 1, 2], 3),
        ] as [(String, [Int], Int64)] {
            let answer = await bench.send("GET", "\(Self.p)/jobs\(query)")
            #expect(answer.status == 200, "\(query) \(answer.text)")
            #expect(answer["data"]?.array?.map { $0["job_id"]?.string } == expected.map { ids[$0] }, "\(query)")
            #expect(answer["total"]?.integer == total, "\(query)")
        }
        await bench.service.shutdown()
    }

    @Test("ConnectorAPI: a path or method that does not exist gets its error")
    func unknown() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        for target in [
            "", "/", "*", "/v1", "/v1/organizations/org_xyz789/knowledge/connectors", "\(Self.p)/sources",
            "\(Self.p)/connections//state", "\(Self.p)/connections/conn_abc123/state/x", "/v1/source-connection",
            "\(Self.p)/connections/conn_abc123%2Fstate",
        ] {
            let answer = await bench.send("GET", target)
            #expect(answer.status == 404, "\(target)")
            #expect(answer.error?["trace_id"]?.string == "0af7651916cd43dd8448eb211c80319c")
            #expect(answer.error?["timestamp"]?.string?.hasSuffix("Z") == true)
        }
        let put = await bench.send("PUT", "\(Self.connection)/state", "{}")
        #expect(put.status == 405 && put.headers["Allow"] == "GET, PATCH")
        let list = await bench.send("GET", "\(Self.p)/connections")
        #expect(
            list["data"]?.array?.map { $0["connection_id"]?.string } == [
                "conn_abc123", "550e8400-e29b-41d4-a716-446655440000",
            ])
        await bench.service.shutdown()
    }

    @Test("ConnectorAPI: a body that could be too long for the journal is refused, whoever sends it")
    func longBody() async throws {
        let bench = try Bench()
        defer { bench.remove() }
        let (start, end) = (#"{"state_type":"legacy","state":{"x":""#, #""}}"#)
        let rest = ConnectorRequest.maxBodyBytes - start.utf8.count - end.utf8.count
        for (length, status) in [(rest, 200), (rest + 1, 413)] {
            let body = start + String(repeating: "y", count: length) + end
            let answer = await bench.send("PATCH", "\(Self.connection)/state", body)
            #expect(answer.status == status)
            if status == 413 { #expect(answer.code == "PAYLOAD_TOO_LARGE") }
        }
        await bench.service.shutdown()
    }

    @Test("ConnectorAPI: only the newest jobs are kept")
    func forgotten() async throws {
        var options = Small.options(try Small.directory(), storage: TrappedStorage())
        options.rowsPerSecond = 1_000_000
        options.jobsKept = 4
        let bench = try Bench(options)
        defer { bench.remove() }
        var last = ""
        for _ in 0..<12 { last = try await bench.sync()["job_id"]?.string ?? "" }
        let list = await bench.send("GET", "\(Self.p)/jobs?order_by=createdAt%7CDESC")
        #expect((4...5).contains(list["total"]?.integer ?? 0))
        #expect(list["data"]?.array?.contains { $0["job_id"]?.string == last } == true)
        await bench.service.shutdown()
        let again = try Bench(options)
        #expect(await again.send("GET", "\(Self.p)/jobs?order_by=createdAt%7CDESC").text == list.text)
        await again.service.shutdown()
    }
}

/// A clock that stands where it is put.
final class Counter: Sendable {
    private let value: Mutex<Int64>

    init(_ value: Int64) { self.value = Mutex(value) }

    func set(_ value: Int64) { self.value.withLock { $0 = value } }
    var now: Int64 { value.withLock { $0 } }
}

extension ConnectorOptions {
    func with(_ clock: Counter) -> ConnectorOptions {
        var options = self
        options.now = { clock.now }
        return options
    }
}
