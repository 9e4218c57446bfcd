import Foundation
import Synchronization
import Testing

@testable import Connectors

/// The values behind the service: cursors, jobs, and the file of connections.
@Suite struct StateTests {
    private static let key = ConnectionKey(organization: "org", id: "conn")
    private static let moment = Timestamp(milliseconds: 0)

    @Test("ServiceState: a state that advances keeps what it does not understand")
    func advance() {
        var state = CursorState(
            kind: .legacy,
            members: [
                .init(name: "shared", json: Array(#"{"n":1.0}"#.utf8)),
                .init(name: "users", json: Array(#"{"cursor":7}"#.utf8)),
            ])
        #expect(state.cursor(of: "users") == .integer(7))
        #expect(state.cursor(of: "shared") == nil && state.cursor(of: "orders") == nil)
        state.advance("users", to: .integer(8))
        state.advance("orders", to: .text("a\"b"))
        #expect(
            String(decoding: state.rendered(), as: UTF8.self)
                == #"{"state":{"shared":{"n":1.0},"users":{"cursor":8},"orders":{"cursor":"a\"b"}},"state_type":"legacy"}"#
        )
        for name in ["shared", "users", "orders", "none"] { state.rewind(name) }
        #expect(state == .notSet)
    }

    @Test(
        "ConnectorAPI: reads that need only memory get their response at once, however many jobs are kept")
    func readsFromMemory() throws {
        let bench = try Bench()
        defer { bench.remove() }
        let key = ConnectionKey(organization: Bench.organization, id: "conn_abc123")
        bench.service.store.withState { state in
            for number in 0..<2001 {
                var job = Job(id: "job_\(number)", connection: key, kind: .sync, streams: [], createdAt: Self.moment)
                _ = job.ended(.cancelled, at: Self.moment)
                state.apply(.job(job))
            }
        }
        var paths: [Bool: Int] = [:]
        for (index, path) in ConnectorRoute.paths.enumerated() {
            let target = path.replacing("{organization}", with: Bench.organization)
                .replacing("{connection}", with: "conn_abc123").replacing("{job}", with: "job_7")
            let request = ConnectorRequest(
                method: "GET", target: Array(target.utf8), organization: Bench.organization, body: [], traceID: "")
            let isFromMemory = ConnectorService.respondsFromMemory(path: index)
            #expect((bench.service.respond(to: request) != nil) == isFromMemory, "\(path)")
            paths[isFromMemory, default: 0] += 1
        }
        #expect(paths[false] == 1)
    }

    private func job() -> Job {
        Job(id: "job_1", connection: Self.key, kind: .sync, streams: ["users"], createdAt: Self.moment)
    }

    @Test("ServiceState: a job starts once, and ends once", arguments: [Job.Status.succeeded, .failed, .cancelled])
    func life(end: Job.Status) {
        var job = job()
        #expect(!job.status.isEnd && job.durationMilliseconds == nil)
        let started = job.started(at: Timestamp(milliseconds: 1000))
        #expect(started)
        let running = job
        let startedAgain = job.started(at: Timestamp(milliseconds: 2000))
        #expect(!startedAgain && job == running)
        job.checkpointed(.init(rows: 3), finishedStream: true, at: Timestamp(milliseconds: 1500))
        #expect(job.counters.rows == 3 && job.streamsDone == 1)
        let isEnded = job.ended(end, failure: "why", at: Timestamp(milliseconds: 3000))
        #expect(isEnded)
        #expect(job.durationMilliseconds == 2000)
        #expect(job.failure == (end == .failed ? "why" : nil))
        let ended = job
        for other in [Job.Status.succeeded, .failed, .cancelled] {
            let changed = job.ended(other, at: Timestamp(milliseconds: 4000))
            #expect(!changed)
        }
        let (cancelled, restarted) = (job.cancelRequested(at: Self.moment), job.started(at: Self.moment))
        #expect(!cancelled && !restarted)
        job.show(.init(rows: 99))
        #expect(job == ended)
    }

    @Test("ServiceState: what the runner writes does not undo a cancel request")
    func cancelIsKept() {
        var state = ServiceState([], endedJobsKept: 10)
        var job = job()
        state.apply(.job(job))
        #expect(state.status(ofJob: job.id) == job.status)
        state.apply(.cancel(job: job.id, at: Self.moment))
        _ = job.started(at: Self.moment)
        state.apply(.job(job))
        #expect(state.entries[0].activeJob?.job.isCancelRequested == true)
        _ = job.ended(.cancelled, at: Self.moment)
        state.apply(.job(job))
        #expect(state.status(ofJob: job.id) == .cancelled)
        #expect(state.entries[0].activeJob == nil)
    }

    @Test(
        "ServiceState: observers hear what becomes of a job, each change once, and no reader sees it before them or late"
    )
    func observersFirst() {
        let store = StateStore(ServiceState([], endedJobsKept: 10))
        var job = job()
        let id = job.id
        let told = Mutex<[String]>([])
        let readers = DispatchGroup()
        // Weakly, because the store holds its observers.
        store.observe { [weak store] event in
            let (status, store) = (event.job.status, store)
            // A reader that comes while the observers hear of it.
            DispatchQueue.global().async(group: readers) {
                let visible = store?.withState { $0.status(ofJob: id)?.rawValue } ?? "nothing"
                told.withLock { $0.append("\(status), where \(visible) is visible") }
            }
        }
        func apply(_ groups: [[JournalRecord]]) {
            store.apply(groups)
            readers.wait()
        }
        apply([[.job(job)]])
        _ = job.started(at: Self.moment)
        apply([[.job(job)], [.job(job)]])
        _ = job.ended(.succeeded, at: Self.moment)
        apply([[.job(job), .job(job)]])
        #expect(
            told.withLock { $0 } == [
                "pending, where pending is visible", "running, where running is visible",
                "succeeded, where succeeded is visible",
            ])
    }

    @Test("ServiceState: a snapshot of a state sets the same state")
    func snapshot() {
        var state = ServiceState([], endedJobsKept: 3)
        for record in JournalTests.samples { state.apply(record) }
        var again = ServiceState([], endedJobsKept: 3)
        for record in state.snapshot() { again.apply(record) }
        #expect(again.snapshot() == state.snapshot())
    }

    private func read(_ text: String) throws -> [ConnectionDefinition] {
        try ConnectionFile.read(Array(text.utf8), name: "connectors.json5", stateDirectory: "/state")
    }

    @Test("ServiceState: the definitions of the demo are valid")
    func demo() throws {
        let definitions = try read(DemoData.definitions)
        #expect(definitions.map(\.key.id) == ["conn_abc123", "550e8400-e29b-41d4-a716-446655440000", "conn_other1"])
        #expect(definitions.map(\.family) == [.aitronos, .airweave, .aitronos])
        #expect(definitions[0].destinationFolder == "/state/connectors/destinations/org_xyz789/conn_abc123")
        #expect(definitions[0].stream("orders")?.cursorField == "updated_at")
    }

    @Test("ServiceState: every mistake in the definitions is shown with its line and column")
    func mistakes() {
        let text = """
            { connections: [
              { id: "a/b", organization: "org", source: { folder: "s" }, destination: { folder: "d" }, streams: {} },
              { id: "c", organization: "org", source: { folder: "s", format: "xml" }, destination: { folder: "d" },
                pace: { rowsPerSecond: 0, speed: 1 }, streams: { "x/y": { cursor: 1 } } },
              { id: "c", organization: "org", source: { folder: "s" }, destination: { folder: "d" }, streams: {} },
              { id: "d", organization: "org", source: "s", streams: [] },
              { id: "e", family: "airweave", organization: "org", source: { folder: "s" }, destination: { folder: "d" }, streams: {} },
            ] }
            """
        let refusal = #expect(throws: ConnectionFile.Refusal.self) { try read(text) }
        let lines = refusal?.description.split(separator: "\n").map(String.init) ?? []
        #expect(
            lines == [
                #"connectors.json5:2:9: error: "id" may have letters, digits, _ and -, at most 128"#,
                #"connectors.json5:3:66: error: "format" must be "ndjson" or "csv""#,
                #"connectors.json5:4:54: error: a stream's name may have letters, digits, _ and -"#,
                #"connectors.json5:4:71: error: "cursor" must be a string"#,
                #"connectors.json5:4:31: error: unknown name "speed"; known are rowsPerSecond, minimumSeconds"#,
                #"connectors.json5:4:28: error: "rowsPerSecond" must be a positive integer"#,
                #"connectors.json5:5:3: error: the connection "c" is defined twice in its organization"#,
                #"connectors.json5:6:43: error: this must be an object"#,
                #"connectors.json5:6:43: error: "source" must be an object with a "folder""#,
                #"connectors.json5:7:3: error: the id of an airweave connection must be a UUID"#,
                #"connectors.json5:7:93: error: another connection has this destination folder already"#,
            ])
        #expect(throws: ConnectionFile.Refusal.self) { try read("{ connections: [") }
        #expect(throws: ConnectionFile.Refusal.self) { try read("{}") }
    }

    @Test("ServiceState: a page is the same whether few or many jobs are looked through", arguments: [false, true])
    func pages(isDescending: Bool) throws {
        let histories = (0..<5).map { history in
            (0..<3000).map { index in
                let job = Job(
                    id: "job_\(history)_\(index)", connection: Self.key, kind: index % 3 == 0 ? .reset : .sync,
                    streams: ["users"], createdAt: Timestamp(milliseconds: Int64(index * 7 / (history + 1))))
                return JobHistory.Snapshot(job)
            }
        }
        let all = histories.joined().filter { $0.job.kind == .sync }.enumerated().sorted { left, right in
            let (first, second) = isDescending ? (right, left) : (left, right)
            return (first.element.job.createdAt.milliseconds, first.offset)
                < (second.element.job.createdAt.milliseconds, second.offset)
        }.map(\.element.job.id)
        for (offset, limit) in [(0, 1), (0, 100), (70, 20), (1500, 100), (9990, 20), (10_000, 5), (Int.max, 100)] {
            let order = isDescending ? "DESC" : "ASC"
            let target = "/?job_type=sync&offset=\(offset)&limit=\(limit)&order_by=createdAt|\(order)"
            let query = try JobQuery(QueryParameters(of: Array(target.utf8)))
            let (page, total) = query.select(from: histories)
            #expect(total == all.count)
            #expect(page.map(\.job.id) == Array(all.dropFirst(offset).prefix(limit)))
        }
    }
}
