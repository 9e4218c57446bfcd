import JSON
import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway

private let running = ScriptedUpstream.job("job_1")
private let sync = #"{"connection_id":"conn_1","job_type":"sync"}"#

extension PlainClient {
    /// Triggers a sync with these lines of `Idempotency-Key`.
    fileprivate func trigger(
        keys: String..., body: String = sync, path: String = PlainClient.jobs, token: String = "token-a",
        more: [String] = []
    ) throws -> Answer {
        let lines = keys.map { "Idempotency-Key: \($0)" } + ["Content-Type: application/json"] + more
        return try call("POST", path, ["Authorization: Bearer \(token)"] + lines, body: body)
    }
}

extension PlainClient.Answer {
    fileprivate var isReplayed: Bool { fields("idempotent-replayed") == ["true"] }
}

extension TestPipeline {
    /// How many wait for the jobs of leases.
    fileprivate var waitersForJobs: Int {
        shared.leases.shards.reduce(0) { count, shard in
            let leases = shard.records.withLock { $0.leases.values.flatMap(\.entries) }
            return leases.reduce(count) { $0 + $1.waiters.count }
        }
    }
}

@Suite("Requests with an idempotency key")
struct KeyStageTests {
    /// The records and the requests that reached the upstream, by state of the records.
    private func count(_ pipeline: TestPipeline, _ phase: IdempotencyState.Phase) -> Int {
        pipeline.shared.idempotency.usage().records[phase] ?? 0
    }

    @Test("KeyStage: the same request gets the same response, byte for byte, whatever the form of its key and its body")
    func replay() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers { _ in
            var response = UpstreamResponse(
                status: 201, contentType: "application/vnd.job+json", body: Array("{ \"job_id\":\t\"job_1\" }\n".utf8),
                startedJob: running)
            response.fields = [(name: "Location", value: "/jobs/job_1"), (name: "Set-Cookie", value: "a=b")]
            return response
        }
        let first = try client.trigger(keys: "k-1")
        #expect(first.status == 201 && !first.isReplayed)
        for (key, body) in [
            ("k-1", sync), ("\"k-1\"", sync), ("k-1", #"{ "jobType": "sync", "connectionId": "conn_1" }"#),
        ] {
            let again = try client.trigger(keys: key, body: body)
            #expect(again.status == 201 && again.isReplayed && again.body == first.body)
            for name in ["content-type", "location"] { #expect(again.fields(name) == first.fields(name), "\(name)") }
            #expect(again.fields("set-cookie") == [])
        }
        #expect(pipeline.upstream.requests.count == 1)
        #expect(count(pipeline, .completed) == 1)
    }

    @Test("KeyStage: another body, query or path with the key is 422, and executes nothing")
    func reused() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(keys: "k").status == 200)
        for (path, body) in [
            (PlainClient.jobs, #"{"connection_id":"conn_1","job_type":"reset"}"#), (PlainClient.jobs + "?a=b", sync),
        ] {
            let answer = try client.trigger(keys: "k", body: body, path: path)
            #expect(answer.status == 422 && answer.code == "IDEMPOTENCY_KEY_REUSED")
        }
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: other organizations, subjects and routes have keys of their own")
    func scope() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(keys: "k").status == 200)
        let other = "/v1/organizations/org_b/knowledge/connectors/jobs"
        #expect(try !client.trigger(keys: "k", path: other, token: "token-b").isReplayed)
        let refresh = PlainClient.base + "/connections/conn_1/refresh"
        #expect(
            try client.trigger(keys: "k", body: #"{"streams":[]}"#, path: refresh).code
                == "CONNECTOR_JOB_ALREADY_RUNNING")
        #expect(pipeline.upstream.requests.count == 2)
    }

    @Test("KeyStage: a malformed key is 400 with its rule, and is not forwarded")
    func malformed() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        for key in ["", "\"", "a b", "\"a\";b=1", String(repeating: "k", count: 256), "a,b"] {
            let answer = try client.trigger(keys: key)
            #expect(answer.status == 400 && answer.code == "IDEMPOTENCY_KEY_INVALID", "\(key)")
            #expect(answer.error?["details"]?["reason"]?.string?.isEmpty == false)
        }
        let twice = try client.trigger(keys: "a", "a")
        #expect(twice.status == 400 && twice.code == "IDEMPOTENCY_KEY_INVALID")
        #expect(pipeline.upstream.requests.isEmpty)
        #expect(pipeline.shared.idempotency.usage().bytes == 0)
    }

    @Test(
        "KeyStage: errors of the gateway, and of the upstream that say nothing was done, leave the key free",
        arguments: [401, 403, 409, 423, 429])
    func notKept(status: Int) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(status)
        #expect(try client.trigger(keys: "k").status == status)
        #expect(try client.trigger(keys: "k", body: "{").status == 400)
        pipeline.upstream.answers(200, job: running)
        let next = try client.trigger(keys: "k")
        #expect(next.status == 200 && !next.isReplayed)
        #expect(try client.trigger(keys: "k").isReplayed)
        // A conflict of another key leaves that key free, too.
        #expect(try client.trigger(keys: "other").status == 409)
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        #expect(try client.trigger(keys: "other").status == 200)
        #expect(pipeline.upstream.requests.count == 3)
    }

    @Test("KeyStage: a final error of the upstream is replayed with its envelope", arguments: [400, 404, 422])
    func error(status: Int) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(status, #"{"detail":"No such stream"}"#)
        let first = try client.trigger(keys: "k")
        let again = try client.trigger(keys: "k")
        #expect(first.status == status && again.status == status)
        #expect(again.isReplayed && again.body == first.body)
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: a request whose response was lost gets its job once it is known, and is never sent again")
    func lostJob() async throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.fails(.responseTimeout)
        #expect(try client.trigger(keys: "k").status == 504)
        let early = try client.trigger(keys: "k")
        #expect(early.status == 409 && early.code == "IDEMPOTENCY_IN_PROGRESS")
        #expect(early.fields("retry-after") == ["1"])
        #expect(early.error?["details"]?["reason"]?.string == "unconfirmed")
        pipeline.upstream.tells(running: [running])
        try await pipeline.reconcile()
        let own = try client.trigger(keys: "k")
        #expect(own.status == 200 && own.isReplayed, "\(own.text)")
        #expect(try JSONValue.read(own.body.span)["job_id"]?.string == "job_1")
        #expect(own.fields("location") == ["/jobs/job_1"] && own.fields("x-gateway-outcome") == ["deduplicated"])
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        #expect(try client.trigger(keys: "k").status == 200)
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: a request whose response was lost is sent again once the upstream shows that it began nothing")
    func lostNothing() async throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.fails(.closed)
        #expect(try client.trigger(keys: "k").status == 502)
        pipeline.upstream.tells(running: [])
        try await pipeline.reconcile()
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(keys: "k").status == 200)
        #expect(try client.trigger(keys: "k").isReplayed)
        #expect(pipeline.upstream.requests.count == 2)
    }

    private static var turnedAway: UpstreamResponse {
        UpstreamResponse(status: 503, fields: [(name: "Retry-After", value: "2")], body: Array("{}".utf8))
    }

    @Test("KeyStage: a request that was turned away may have begun its work behind a proxy: its lease tells")
    func turnedAwayByProxy() async throws {
        for isAtWork in [true, false] {
            let pipeline = try TestPipeline()
            let client = try PlainClient(pipeline)
            pipeline.upstream.answers { _ in Self.turnedAway }
            #expect(try client.trigger(keys: "k").status == 503)
            #expect(try client.trigger(keys: "k").code == "IDEMPOTENCY_IN_PROGRESS")
            pipeline.upstream.tells(running: isAtWork ? [running] : [])
            try await pipeline.reconcile()
            pipeline.upstream.answers(200, job: running)
            let again = try client.trigger(keys: "k")
            #expect(again.status == 200 && again.isReplayed == isAtWork)
            #expect(pipeline.upstream.requests.count == (isAtWork ? 1 : 2))
        }
    }

    @Test("KeyStage: a request without a lease for a job that was turned away can be sent again")
    func turnedAwayWithoutJob() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers { _ in Self.turnedAway }
        let state = PlainClient.base + "/connections/conn_1/state"
        for _ in 0..<2 {
            let fields = ["Authorization: Bearer token-a", "Idempotency-Key: k"]
            #expect(try client.call("PATCH", state, fields, body: "{}").status == 503)
        }
        #expect(pipeline.upstream.requests.count == 2)
    }

    private static let attaching = """
        routes: {
          attaching: {
            match: "POST /v1/organizations/{organization}/{connection}/attach", scope: "connectors:run", lease: "refresh",
            onConflict: "attach",
          },
        },
        """
    private static let attach = "/v1/organizations/org_a/conn_1/attach"

    @Test("KeyStage: a request that shares the job of another one is answered with it also after its end")
    func attached() throws {
        let pipeline = try TestPipeline(policy: Self.attaching)
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(keys: "first", path: Self.attach).status == 200)
        let shared = try client.trigger(keys: "k", path: Self.attach)
        #expect(shared.status == 200 && !shared.isReplayed && shared.fields("x-gateway-outcome") == ["attached"])
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        let again = try client.trigger(keys: "k", path: Self.attach)
        #expect(again.status == 200 && again.isReplayed && again.fields("x-gateway-outcome") == ["deduplicated"])
        #expect(try JSONValue.read(again.body.span)["job_id"]?.string == "job_1")
        #expect(pipeline.upstream.requests.count == 1 && count(pipeline, .resolved) == 1)
    }

    @Test("KeyStage: a request that waits for the job of another one keeps it, too")
    func attachedEarly() throws {
        let pipeline = try TestPipeline(policy: Self.attaching)
        let gate = Gate()
        pipeline.upstream.answers { _ in
            await gate.pass()
            return UpstreamResponse(status: 200, body: Array(#"{"job_id":"job_1"}"#.utf8), startedJob: running)
        }
        let fields = ["Authorization: Bearer token-a", "Content-Type: application/json"]
        let (first, second) = (try PlainClient(pipeline), try PlainClient(pipeline))
        first.send("POST", Self.attach, fields, body: Array(sync.utf8))
        try waitUntil("the request has arrived") { pipeline.upstream.requests.count == 1 }
        second.send("POST", Self.attach, fields + ["Idempotency-Key: k"], body: Array(sync.utf8))
        try waitUntil("the other one waits") { pipeline.waitersForJobs == 1 }
        gate.open()
        #expect(try first.answer().status == 200)
        #expect(try second.answer().fields("x-gateway-outcome") == ["attached"])
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        #expect(try second.trigger(keys: "k", path: Self.attach).isReplayed)
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: while the disk fails nobody is answered with the job of another request under a key")
    func attachedDisk() throws {
        let disk = MemoryDisk(name: "idempotency.journal")
        let pipeline = try TestPipeline(policy: Self.attaching, disk: disk)
        defer { pipeline.shared.idempotency.journal?.close() }
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(path: Self.attach).status == 200)
        disk.fails(every: "synchronize")
        #expect(try client.trigger(keys: "k", path: Self.attach).code == "IDEMPOTENCY_UNAVAILABLE")
    }

    @Test("KeyStage: without a lease for a job nobody can tell what a lost request did")
    func unknown() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.fails(.responseTimeout)
        let state = PlainClient.base + "/connections/conn_1/state"
        let patch = {
            try client.call("PATCH", state, ["Authorization: Bearer token-a", "Idempotency-Key: k"], body: "{}")
        }
        #expect(try patch().status == 504)
        #expect(try patch().code == "IDEMPOTENCY_OUTCOME_UNKNOWN")
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: a key is looked at where the route allows it, needed where it requires it, and otherwise ignored")
    func policy() throws {
        let pipeline = try TestPipeline(
            policy: """
                routes: {
                  required: {
                    match: "POST /v1/organizations/{organization}/required", scope: "connectors:run", idempotency: "required",
                  },
                },
                """)
        let client = try PlainClient(pipeline)
        let path = "/v1/organizations/org_a/required"
        let missing = try client.trigger(path: path)
        #expect(missing.status == 400 && missing.code == "IDEMPOTENCY_KEY_REQUIRED")
        #expect(try client.trigger(keys: "k", path: path).status == 200)
        #expect(try client.trigger(keys: "k", path: path).isReplayed)
        // A route without a lease, and safe methods.
        for _ in 0..<2 { #expect(try !client.trigger(keys: "k", path: PlainClient.base + "/other").isReplayed) }
        for _ in 0..<2 {
            let read = try client.call(
                "GET", PlainClient.jobs, ["Authorization: Bearer token-a", "Idempotency-Key: a b"])
            #expect(read.status == 200 && !read.isReplayed)
        }
    }

    @Test(
        "KeyStage: of two requests at once one is executed, and the other is told so, or waits for it if it prefers to")
    func inFlight() async throws {
        let pipeline = try TestPipeline()
        let gate = Gate()
        pipeline.upstream.answers { _ in
            await gate.pass()
            return UpstreamResponse(status: 200, body: Array(#"{"job_id":"job_1"}"#.utf8), startedJob: running)
        }
        let first = try PlainClient(pipeline)
        let fields = ["Authorization: Bearer token-a", "Content-Type: application/json", "Idempotency-Key: k"]
        first.send("POST", PlainClient.jobs, fields, body: Array(sync.utf8))
        try waitUntil("the request has arrived") { pipeline.upstream.requests.count == 1 }
        let second = try PlainClient(pipeline)
        let told = try second.trigger(keys: "k")
        #expect(told.status == 409 && told.code == "IDEMPOTENCY_IN_PROGRESS")
        #expect(told.error?["details"]?["reason"]?.string == "running")
        #expect(try second.trigger(keys: "k", body: "{}").code == "IDEMPOTENCY_KEY_REUSED")
        let patient = try PlainClient(pipeline)
        patient.send("POST", PlainClient.jobs, fields + ["Prefer: wait=30"], body: Array(sync.utf8))
        try waitUntil("the other one waits") { pipeline.shared.waitingRoom.countForTest == 1 }
        gate.open()
        let own = try first.answer()
        let joined = try patient.answer()
        #expect(own.status == 200 && !own.isReplayed)
        #expect(joined.status == 200 && joined.isReplayed && joined.body == own.body)
        #expect(joined.fields("preference-applied") == ["wait=30"])
        #expect(pipeline.upstream.requests.count == 1 && pipeline.shared.waitingRoom.countForTest == 0)
    }

    @Test("KeyStage: a client that leaves while it waits gives its place back")
    func leaves() async throws {
        let pipeline = try TestPipeline()
        let gate = Gate()
        pipeline.upstream.answers { _ in
            await gate.pass()
            return UpstreamResponse(status: 200, body: [])
        }
        let first = try PlainClient(pipeline)
        let fields = ["Authorization: Bearer token-a", "Content-Type: application/json", "Idempotency-Key: k"]
        first.send("POST", PlainClient.jobs, fields, body: Array(sync.utf8))
        try waitUntil("the request has arrived") { pipeline.upstream.requests.count == 1 }
        var second: PlainClient? = try PlainClient(pipeline)
        second?.send("POST", PlainClient.jobs, fields + ["Prefer: wait=50"], body: Array(sync.utf8))
        try waitUntil("the other one waits") { pipeline.shared.waitingRoom.countForTest == 1 }
        second = nil
        try waitUntil("its place is free") { pipeline.shared.waitingRoom.countForTest == 0 }
        gate.open()
        #expect(try first.answer().status == 200)
    }

    @Test("KeyStage: a replay charges calls, but no work, and is not refused for work")
    func limits() throws {
        let pipeline = try TestPipeline(
            policy: """
                limits: {
                  work: { on: "*", per: "token", allow: "1/h" },
                  calls: { on: "*", per: ["organization", "token"], allow: "4/h", charge: "calls" },
                },
                """)
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        #expect(try client.trigger(keys: "k").status == 200)
        #expect(try client.trigger(keys: "other").code == "RATE_LIMIT_EXCEEDED")
        for _ in 0..<2 { #expect(try client.trigger(keys: "k").isReplayed) }
        #expect(try client.trigger(keys: "k").code == "RATE_LIMIT_EXCEEDED")
    }

    @Test("KeyStage: a response that is too large to be kept is remembered, and its job answers for it")
    func large() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, String(repeating: "x", count: 80_000), job: running)
        #expect(try client.trigger(keys: "k").body.count == 80_000)
        let again = try client.trigger(keys: "k")
        #expect(try again.status == 200 && JSONValue.read(again.body.span)["job_id"]?.string == "job_1")
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        pipeline.upstream.answers(200, String(repeating: "x", count: 80_000))
        let state = PlainClient.base + "/connections/conn_1/state"
        let patch = {
            try client.call("PATCH", state, ["Authorization: Bearer token-a", "Idempotency-Key: k"], body: "{}")
        }
        #expect(try patch().status == 200)
        let known = try patch()
        #expect(known.status == 409 && known.code == "IDEMPOTENCY_RESPONSE_NOT_KEPT")
        #expect(known.error?["details"]?["status"]?.integer == 200)
    }

    @Test("KeyStage: while the disk fails nothing is executed under a key, and afterwards the key is free")
    func disk() throws {
        let disk = MemoryDisk(name: "idempotency.journal")
        let pipeline = try TestPipeline(disk: disk)
        defer { pipeline.shared.idempotency.journal?.close() }
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        disk.fails(every: "synchronize")
        for _ in 0..<3 {
            let answer = try client.trigger(keys: "k")
            #expect(answer.status == 503 && answer.code == "IDEMPOTENCY_UNAVAILABLE")
            #expect(answer.fields("retry-after") == ["2"])
        }
        #expect(pipeline.upstream.requests.isEmpty && pipeline.shared.leases.isEmpty)
        disk.fails { (_: Int) in false }
        pipeline.shared.idempotency.journal?.retry()
        try waitUntil("the disk works again") { try client.trigger(keys: "k").status == 200 }
        #expect(try client.trigger(keys: "k").isReplayed)
        #expect(pipeline.upstream.requests.count == 1)
    }

    @Test("KeyStage: without room for a record the request is not executed")
    func full() throws {
        let pipeline = try TestPipeline(policy: #"gateway: { idempotency: { memory: "1MiB" } },"#)
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: running)
        var number = 0
        while case .opened(let record) = pipeline.shared.idempotency.open(
            IdempotencyClaim(number: number, organization: "org_a"), now: WallClock.system.moment)
        {
            record.begin(nil, follower: nil)
            number += 1
        }
        #expect(number == 512)
        let answer = try client.trigger(keys: "k")
        #expect(answer.status == 429 && answer.code == "IDEMPOTENCY_SHARE_USED")
        #expect(pipeline.upstream.requests.isEmpty)
        #expect(try client.trigger().status == 200, "without a key")
    }
}
