@testable import Policy
import Testing
import Transport

@testable import Gateway

private let key = LeaseKey(organization: "o", connection: "c1")

@Suite("Status polls for leases")
struct JobStatusClientTests {
    private let upstream = ScriptedRequests()

    private func poll(
        _ family: RouteFamily = .aitronos, _ id: String? = "job_1", location: String? = nil, since: Int64 = 0
    )
        async -> JobStatus
    {
        let job = id.map { LeaseJob(id: $0, type: "sync", status: "pending", location: location) }
        let lease = PolledLease(
            serial: 1, key: key, kind: "sync", family: family, state: job == nil ? .uncertain : .held, job: job,
            since: since,
            isAccepted: false)
        return await JobStatusClient(requests: upstream, path: ScriptedRequests.path).poll(lease)
    }

    @Test("JobStatusClient: a job is requested at its own path, on behalf of its organization")
    func job() async {
        upstream.statuses("/orgs/o/jobs/job_1", 200, #"{"job_id":"job_1","status":"succeeded","connection_id":"c1"}"#)
        #expect(await poll() == .job(LeaseJob(id: "job_1", type: "sync", status: "succeeded")))
        #expect(upstream.asked == [.init(target: "/orgs/o/jobs/job_1", organization: "o")])
        upstream.statuses("/elsewhere", 404)
        #expect(await poll(location: "/elsewhere") == .unknown(.failed), "no list confirms it")
        upstream.statuses(ScriptedRequests.listTarget("c1"), 404)
        #expect(await poll(location: "/elsewhere") == .unknown(.notFound))
        upstream.statuses(ScriptedRequests.listTarget("c1"), 200, #"{"data":[],"total":0}"#)
        #expect(await poll(location: "/elsewhere") == .notFound)
        upstream.statuses(
            ScriptedRequests.listTarget("c1"), 200, #"{"data":[{"job_id":"job_1","status":"running"}],"total":1}"#)
        #expect(await poll(location: "/elsewhere") != .notFound, "the list shows it")
    }

    @Test("JobStatusClient: each request of a poll gets the poll's deadline")
    func deadline() async {
        let end = Instant(nanoseconds: 5)
        let lease = PolledLease(
            serial: 1, key: key, kind: "sync", family: .aitronos, state: .held,
            job: LeaseJob(id: "job_1", type: "sync", status: "pending"), since: 0, isAccepted: false)
        upstream.statuses("/orgs/o/jobs/job_1", 404)
        let client = JobStatusClient(requests: upstream, path: ScriptedRequests.path)
        #expect(await client.poll(lease, before: end) == .unknown(.failed))
        #expect(upstream.deadlines == [end, end])
    }

    @Test(
        "JobStatusClient: a response about something else proves nothing",
        arguments: [
            (200, #"{"job_id":"job_2","status":"succeeded"}"#),
            (200, #"{"job_id":"job_1","status":"succeeded","connection_id":"c2"}"#), (200, "<html>"), (200, ""),
            (204, ""),
            (301, ""), (401, ""), (403, ""), (429, ""), (500, #"{"job_id":"job_1","status":"succeeded"}"#), (503, ""),
        ])
    func notTheJob(status: Int, body: String) async {
        upstream.statuses("/orgs/o/jobs/job_1", status, body)
        #expect(await poll().isUnknown)
    }

    @Test("JobStatusClient: without a response nothing is known")
    func silence() async {
        #expect(await poll() == .unknown(.failed))
        #expect(await poll(.aitronos, nil) == .unknown(.failed))
        #expect(await poll(.other).isUnknown)
        #expect(await poll(.other, nil).isUnknown)
    }

    @Test("JobStatusClient: without a path of single jobs, the job is searched in the list")
    func listed() async {
        let target = "/source-connections/c1/jobs?limit=100"
        upstream.statuses(target, 200, #"[{"id":"job_1","source_connection_id":"c1","status":"FAILED"}]"#)
        #expect(await poll(.airweave) == .job(LeaseJob(id: "job_1", type: "sync", status: "FAILED")))
        upstream.statuses(target + "&offset=1", 200, "[]")
        #expect(await poll(.airweave, "job_2") == .notFound)
        upstream.statuses(target, 200, #"[{"id":"job_1","source_connection_id":"c1","status":7}]"#)
        #expect(await poll(.airweave, "job_2") == .unknown(.unreadable))
        upstream.statuses(target, 404)
        #expect(await poll(.airweave) == .unknown(.notFound), "there is no list: that is no list without the job")
        #expect(await poll(.airweave, nil) == .unknown(.notFound))
        for status in [401, 403, 407] {
            upstream.statuses(target, status, "[]")
            #expect(await poll(.airweave) == .unknown(.refused))
        }
        upstream.statuses(target, 200, #"[{"id":"job_9","source_connection_id":"c9","status":"FAILED"}]"#)
        #expect(await poll(.airweave) == .unknown(.unreadable), "it is another connection's list")
    }

    @Test("JobStatusClient: for a lease without a job the jobs of its connection are requested")
    func jobs() async {
        upstream.statuses(
            ScriptedRequests.listTarget("c1"), 200,
            #"{"data":[{"job_id":"a","status":"running","connection_id":"c1","start_time":"2024-06-15T10:00:00Z"},"#
                + #"{"job_id":"b","status":"failed","connection_id":"c2"},{"job_id":"c","status":"failed"}],"total":3}"#
        )
        let expected = [
            LeaseJob(
                id: "a", type: "sync", status: "running", startedAt: 1_718_445_600_000, location: "/orgs/o/jobs/a"),
            LeaseJob(id: "c", type: "sync", status: "failed", location: "/orgs/o/jobs/c"),
        ]
        #expect(await poll(.aitronos, nil) == .jobs(expected))
        #expect(upstream.targets.count == 1)
        // The connection may have another name there.
        upstream.statuses(
            ScriptedRequests.listTarget("c1"), 200,
            #"{"data":[{"job_id":"b","status":"running","connection_id":"C1"}],"total":1}"#)
        #expect(await poll(.aitronos, nil) == .unknown(.unreadable))
    }

    @Test("JobStatusClient: all pages of a list are read; an incomplete list proves nothing")
    func pages() async {
        let target = ScriptedRequests.listTarget("c1")
        upstream.statuses(target, 200, #"{"data":[{"job_id":"a","status":"failed"}],"total":3}"#)
        #expect(await poll(.aitronos, nil) == .unknown(.failed))
        upstream.statuses(target + "&offset=1", 200, #"{"data":[{"job_id":"a","status":"failed"}],"total":3}"#)
        #expect(await poll(.aitronos, nil) == .unknown(.unreadable), "the same page again")
        upstream.statuses(
            target + "&offset=1", 200,
            #"{"data":[{"job_id":"a","status":"failed"},{"job_id":"b","status":"failed"},{"job_id":"z","status":"running"}],"total":3}"#
        )
        guard case .jobs(let jobs) = await poll(.aitronos, nil) else {
            Issue.record("no jobs")
            return
        }
        #expect(jobs.map(\.id) == ["a", "b", "z"])
        upstream.statuses("/orgs/o/jobs/job_1", 404)
        #expect(await poll() == .notFound)
        upstream.statuses("/orgs/o/jobs/z", 404)
        #expect(await poll(.aitronos, "z") == .job(LeaseJob(id: "z", type: "sync", status: "running")))
    }

    @Test("JobStatusClient: one list resolves many leases of an organization, as far as it shows their jobs")
    func shared() async {
        let leases = (0..<300).map { number in
            PolledLease(
                serial: UInt64(number), key: LeaseKey(organization: "o", connection: "c\(number)"), kind: "sync",
                family: .aitronos, state: .held, job: LeaseJob(id: "j\(number)", type: "sync", status: "pending"),
                since: 0, isAccepted: false)
        }
        func page(_ numbers: Range<Int>) -> String {
            let jobs = numbers.map {
                // One of them belongs to another connection than the lease believes.
                #"{"job_id":"j\#($0)","connection_id":"c\#($0 == 7 ? 8 : $0)","status":"succeeded","job_type":"sync"}"#
            }
            return #"{"data":["# + jobs.joined(separator: ",") + "]}"
        }
        let target = "/orgs/o/jobs?order_by=createdAt%7CDESC&limit=100"
        upstream.statuses(target, 200, page(0..<100))
        upstream.statuses(target + "&offset=100", 200, page(100..<150))
        let client = JobStatusClient(requests: upstream, path: ScriptedRequests.path)
        let (statuses, doubt) = await client.poll(leases)
        #expect(doubt == nil)
        #expect(statuses[149] == .job(LeaseJob(id: "j149", type: "sync", status: "succeeded")))
        #expect(statuses[7] == .notListed && statuses[150...].allSatisfy { $0 == .notListed })
        #expect(statuses.filter { $0 == .notListed }.count == 151)
        #expect(upstream.targets.count == 2)
        for (status, expected) in [(400, InconclusiveResponse.unreadable), (401, .refused), (503, .failed)] {
            upstream.statuses(target, status, "")
            let (statuses, doubt) = await client.poll(leases)
            #expect(doubt == expected && statuses.allSatisfy { $0 == .notListed })
        }
    }

    @Test(
        "JobStatusClient: a list that cannot be read whole does not prove that nothing runs",
        arguments: [
            (200, #"{"data":[{"x":1}],"total":1}"#), (200, "[1]"), (200, #"{"data":[],"total":1}"#), (200, ""),
            (200, "{}"), (404, "[]"), (500, "[]"),
        ])
    func damagedLists(status: Int, body: String) async {
        upstream.statuses(ScriptedRequests.listTarget("c1"), status, body)
        #expect(await poll(.aitronos, nil).isUnknown)
    }
}

@Suite("Jobs of a remote upstream")
struct JobObserverTests {
    private static let sync = LeaseKind(index: 0, name: "sync", lifetime: .job)
    private static let matrix = ConcurrencyMatrix(kinds: [sync], conflicts: [[0]])
    private let upstream = ScriptedRequests()
    private let leases = LeaseTable()

    private var jobs: JobObserver {
        JobObserver(leases: leases, statusClient: JobStatusClient(requests: upstream, path: ScriptedRequests.path))
    }

    private func hold(_ id: String, _ key: LeaseKey = key) {
        leases.rebuild(
            key, kind: Self.sync, job: LeaseJob(id: id, type: "sync", status: "pending", location: "/x"), now: 0)
    }

    @Test("JobObserver: the job that a response names belongs to the lease, with its location")
    func started() {
        func started(_ body: String) -> LeaseJob? {
            jobs.started(by: Array(body.utf8).span, key, kind: Self.sync, family: .aitronos)
        }
        let id = "5F2504E04F8911D39A0C0305E82C3301"
        let job = started(#"{"job_id":"\#(id)","status":"pending"}"#)
        #expect(job?.id == "5f2504e0-4f89-11d3-9a0c-0305e82c3301" && job?.type == "sync")
        // The upstream may know it only as it wrote it.
        #expect(job?.location == "/orgs/o/jobs/\(id)")
        #expect(started(#"{"status":"refreshing"}"#) == nil)
        #expect(started(#"{"job_id":"j","connection_id":"c2"}"#) == nil)
        #expect(started(#"{"job_id":"j","x":""# + String(repeating: "x", count: JobObserver.maxBytes) + #""}"#) == nil)
    }

    @Test(
        "JobObserver: a job's connection comes from its lease without a request, but never from another organization's")
    func connectionOfLease() async throws {
        hold("job_1")
        #expect(try await jobs.connection(ofJob: "job_1", organization: "o", family: .aitronos) == "c1")
        #expect(upstream.asked == [])
        upstream.statuses("/orgs/p/jobs/job_1", 404)
        #expect(try await jobs.connection(ofJob: "job_1", organization: "p", family: .aitronos) == nil)
        #expect(upstream.asked == [.init(target: "/orgs/p/jobs/job_1", organization: "p")])
    }

    @Test("JobObserver: a job's connection comes from the upstream, and only a definite no means that there is none")
    func connectionAsked() async throws {
        func connection() async throws(UpstreamFailure) -> String? {
            try await jobs.connection(ofJob: "job_1", organization: "o", family: .aitronos)
        }
        let target = "/orgs/o/jobs/job_1"
        upstream.statuses(target, 200, #"{"job_id":"job_1","status":"failed","connection_id":"C9"}"#)
        #expect(try await connection() == "C9")
        for status in [400, 404, 410, 422] {
            upstream.statuses(target, status)
            #expect(try await connection() == nil)
        }
        // Without the connection there would be no lease: nothing else may pass for a no.
        for (status, body, failure) in [
            (200, #"{"job_id":"job_1","status":"failed"}"#, UpstreamFailure.invalidResponse),
            (200, #"{"job_id":"job_2","connection_id":"C9"}"#, .invalidResponse), (200, "", .invalidResponse),
            (302, "", .invalidResponse), (429, "", .jobLookupFailed), (500, "", .jobLookupFailed),
            (503, "", .jobLookupFailed),
            (401, "", .credentialRefused), (403, "", .credentialRefused), (407, "", .credentialRefused),
        ] {
            upstream.statuses(target, status, body)
            await #expect(throws: failure) { try await connection() }
        }
        await #expect(throws: UpstreamFailure.jobLookupFailed) {
            try await jobs.connection(ofJob: "job_x", organization: "o", family: .aitronos)
        }
        await #expect(throws: UpstreamFailure.internalFailure) {
            try await jobs.connection(ofJob: "job_1", organization: "o", family: .other)
        }
    }

    @Test(
        "JobObserver: a relayed job updates and ends the leases of its organization, as of the time of its request"
    )
    func observed() throws {
        let route = Route.showing(.job)
        let list = Route.showing(.jobs)
        #expect(jobs.revisionToObserve(route) == nil, "nothing is held")
        hold("job_1")
        hold("job_2", LeaseKey(organization: "p", connection: "c1"))
        #expect(jobs.revisionToObserve(Route.showing(nil)) == nil)
        let revision = try #require(jobs.revisionToObserve(route))
        func observe(_ route: Route, _ body: String, organization: String = "o", _ revision: LeaseRevision) {
            jobs.observed(Array(body.utf8).span, route, organization: organization, asOf: revision, now: 9)
        }
        func held(_ organization: String) -> LeaseJob? {
            leases.polledLeases().first { $0.key.organization == organization }?.job
        }
        observe(route, #"{"job_id":"job_1","status":"running","connection_id":"c1"}"#, revision)
        #expect(held("o") == LeaseJob(id: "job_1", type: "sync", status: "running", location: "/x"))
        observe(route, #"{"job_id":"job_2","status":"failed","connection_id":"c1"}"#, revision)
        observe(list, #"{"data":[{"job_id":"job_2","status":"failed","connection_id":"c1"}]}"#, revision)
        #expect(held("p") != nil, "another organization's job")
        observe(list, #"[{"x":1},{"job_id":"job_1","status":"failed","connection_id":"c1"}]"#, revision)
        #expect(held("o") == nil)
        // The same job runs again: what was asked before that says nothing.
        hold("job_1")
        observe(route, #"{"job_id":"job_1","status":"failed","connection_id":"c1"}"#, revision)
        #expect(held("o") != nil)
        let large = #"{"job_id":"job_1","status":"failed","connection_id":"c1","x":""#
        observe(route, large + String(repeating: "x", count: JobObserver.maxBytesInPassing) + #""}"#, leases.revision())
        #expect(held("o") != nil)
        observe(route, large + #""}"#, leases.revision())
        #expect(held("o") == nil)
    }
}

extension Route {
    fileprivate static func showing(_ jobStatus: JobStatusBody?) -> Route {
        Route(id: "r", index: 0, family: .aitronos, jobStatus: jobStatus)
    }
}
