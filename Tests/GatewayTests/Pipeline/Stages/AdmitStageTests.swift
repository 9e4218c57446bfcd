import HTTP
import JSON
import TestSupport
import Testing

@testable import Gateway

@Suite("Outcomes of a lease")
struct AdmitStageTests {
    private static let running = ScriptedUpstream.job("job_1")

    @Test("AdmitStage: a job holds the connection until its end is seen")
    func job() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: Self.running)
        #expect(try client.trigger().status == 200)
        #expect(pipeline.shared.leases.usage().held == 1)
        let refused = try client.trigger()
        #expect(refused.status == 409)
        #expect(refused.activeJob?["id"]?.string == "job_1")
        #expect(refused.fields("location") == ["/jobs/job_1"])
        pipeline.upstream.observed(ScriptedUpstream.job("job_other", status: "succeeded"))
        #expect(try client.trigger().status == 409)
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        #expect(try client.trigger().status == 200)
        #expect(pipeline.upstream.requests.count == 2, "a refused trigger does not reach the upstream")
    }

    @Test("AdmitStage: a job that ended before its response came holds nothing")
    func endBeforeAnswer() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers { upstream in
            upstream.observed(ScriptedUpstream.job("job_1", status: "failed"))
            return UpstreamResponse(status: 200, body: Array("{}".utf8), startedJob: Self.running)
        }
        for _ in 0..<3 { #expect(try client.trigger().status == 200) }
        #expect(pipeline.shared.leases.usage() == LeaseTable.Usage())
    }

    @Test("AdmitStage: a job that has already ended in the response holds nothing")
    func endedInAnswer() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_1", status: "SUCCEEDED"))
        for _ in 0..<2 { #expect(try client.trigger().status == 200) }
        #expect(pipeline.shared.leases.usage() == LeaseTable.Usage())
    }

    enum Lost: CaseIterable {
        case unavailable, timedOut, broken, noJob, internalError, unknownError, unavailableAnswer

        func script(_ upstream: ScriptedUpstream) {
            switch self {
            case .unavailable: upstream.fails(.connectionRefused)
            case .timedOut: upstream.fails(.responseTimeout)
            case .broken: upstream.fails(.truncated)
            case .noJob: upstream.answers(200, #"{"status":"refreshing"}"#)
            case .internalError: upstream.answers(500, "Traceback")
            case .unknownError: upstream.answers(599)
            case .unavailableAnswer: upstream.answers(503)
            }
        }

        var status: Int {
            switch self {
            case .unavailable, .broken: 502
            case .timedOut: 504
            case .noJob: 200
            case .internalError: 500
            case .unknownError: 599
            case .unavailableAnswer: 503
            }
        }
    }

    @Test(
        "AdmitStage: if it is unknown whether a job began, the connection stays held until a poll",
        arguments: Lost.allCases)
    func lost(lost: Lost) async throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        lost.script(pipeline.upstream)
        let answer = try client.trigger()
        #expect(answer.status == lost.status)
        if lost.status >= 400 { #expect(answer.error?["status"]?.integer == Int64(lost.status)) }
        #expect(pipeline.shared.leases.usage().uncertain == 1)
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_2"))
        let refused = try client.trigger()
        #expect(refused.status == 409)
        #expect(refused.activeJob?["id"]?.isNull == true)
        #expect(refused.fields("location") == [])
        // No answer, no knowledge.
        pipeline.upstream.tells(running: nil)
        await #expect(throws: UpstreamFailure.responseTimeout) { try await pipeline.reconcile() }
        #expect(try client.trigger().status == 409)
        // There is a job: it holds the connection now.
        pipeline.upstream.tells(running: [Self.running])
        try await pipeline.reconcile()
        #expect(pipeline.shared.leases.usage().held == 1)
        #expect(try client.trigger().activeJob?["id"]?.string == "job_1")
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "succeeded"))
        #expect(try client.trigger().status == 200)
    }

    @Test(
        "AdmitStage: where the upstream says that nothing runs, the connection is free again", arguments: Lost.allCases)
    func lostForNothing(lost: Lost) async throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        lost.script(pipeline.upstream)
        #expect(try client.trigger().status == lost.status)
        pipeline.upstream.tells(running: [])
        try await pipeline.reconcile()
        #expect(pipeline.shared.leases.usage() == LeaseTable.Usage())
        pipeline.upstream.answers(200, job: Self.running)
        #expect(try client.trigger().status == 200)
    }

    @Test(
        "AdmitStage: a refusal by the upstream frees the connection at once",
        arguments: [400, 401, 403, 404, 409, 422, 423, 429])
    func refused(status: Int) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(status, #"{"detail":"no"}"#)
        for _ in 0..<2 {
            let answer = try client.trigger()
            #expect(answer.status == status)
            #expect(answer.error?["message"]?.string == "no")
        }
        #expect(pipeline.shared.leases.usage() == LeaseTable.Usage())
    }

    @Test(
        "AdmitStage: a state update holds the connection only for its own request, whatever the response",
        arguments: [200, 404, 500])
    func stateUpdate(status: Int) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(status)
        let path = PlainClient.base + "/connections/conn_1/state"
        #expect(try client.call("PATCH", path, body: "{}").status == status)
        #expect(pipeline.shared.leases.usage() == LeaseTable.Usage())
        pipeline.upstream.answers(200, job: Self.running)
        #expect(try client.trigger().status == 200)
        let locked = try client.call("PATCH", path, body: "{}")
        #expect(locked.status == 409 && locked.code == "CONNECTOR_STATE_LOCKED")
    }

    @Test("AdmitStage: while the upstream has not responded, a second trigger does not wait")
    func reserved() throws {
        let pipeline = try TestPipeline()
        let gate = Gate()
        pipeline.upstream.answers { _ in
            await gate.pass()
            return UpstreamResponse(status: 200, body: Array("{}".utf8), startedJob: Self.running)
        }
        let (first, second) = (try PlainClient(pipeline), try PlainClient(pipeline))
        first.send("POST", PlainClient.jobs, body: Array(#"{"connection_id":"conn_1"}"#.utf8))
        try waitUntil("the request is upstream") { pipeline.upstream.requests.count == 1 }
        let refused = try second.trigger()
        #expect(refused.status == 409)
        #expect(refused.activeJob?["status"]?.string == "pending")
        #expect(refused.fields("location") == [])
        gate.open()
        #expect(try first.answer().status == 200)
    }

    @Test("AdmitStage: a client that disconnects does not end the lease of its job")
    func clientGone() throws {
        let pipeline = try TestPipeline()
        let gate = Gate()
        pipeline.upstream.answers { _ in
            await gate.pass()
            return UpstreamResponse(status: 200, body: Array("{}".utf8), startedJob: Self.running)
        }
        do {
            let client = try PlainClient(pipeline)
            client.send("POST", PlainClient.jobs, body: Array(#"{"connection_id":"conn_1"}"#.utf8))
            try waitUntil("the request is upstream") { pipeline.upstream.requests.count == 1 }
        }
        gate.open()
        try waitUntil("the job is known") { pipeline.shared.leases.usage().held == 1 }
        #expect(try PlainClient(pipeline).trigger().status == 409)
    }

    @Test("AdmitStage: a job that is being cancelled holds the connection until it has ended")
    func cancelled() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: Self.running)
        #expect(try client.trigger().status == 200)
        pipeline.upstream.answers(204, "")
        #expect(try client.call("DELETE", PlainClient.jobs + "/job_1").status == 204)
        #expect(pipeline.shared.leases.usage().draining == 1)
        #expect(try client.trigger().status == 409)
        pipeline.upstream.observed(ScriptedUpstream.job("job_1", status: "cancelled"))
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_2"))
        #expect(try client.trigger().status == 200)
    }

    @Test("AdmitStage: work that never began is refunded, and work that may have begun is not")
    func refunds() async throws {
        let limits = #"limits: { work: { on: ["trigger"], per: "token", allow: "1/day" } },"#
        // A 503 with `Retry-After` is a refusal: no work began. After a 503 without it, work may have begun.
        let later = [(name: "Retry-After", value: "1")]
        for (status, fields, isRefunded) in [
            (404, [], true), (409, [], true), (503, later, true), (503, [], false), (500, later, false),
            (200, [], false),
        ] {
            let pipeline = try TestPipeline(policy: limits)
            let client = try PlainClient(pipeline)
            pipeline.upstream.answers { _ in UpstreamResponse(status: status, fields: fields, body: Array("{}".utf8)) }
            #expect(try client.trigger().status == status)
            try await pipeline.reconcile()
            #expect(try client.trigger().status == (isRefunded ? status : 429))
        }
        for (failure, status, isRefunded) in [
            (UpstreamFailure.connectionRefused, 502, true), (.responseTimeout, 504, false), (.truncated, 502, false),
        ] {
            let pipeline = try TestPipeline(policy: limits)
            let client = try PlainClient(pipeline)
            pipeline.upstream.fails(failure)
            #expect(try client.trigger().status == status)
            try await pipeline.reconcile()
            #expect(try client.trigger().status == (isRefunded ? status : 429), "\(failure)")
        }
    }
}
