import Testing

@testable import Gateway

@Suite("Jobs in JSON bodies")
struct JobPayloadTests {
    private func read(_ text: String) -> JobPayload? { JobPayload.read(Array(text.utf8).span) }
    private func list(_ text: String) -> JobList? { JobList.read(Array(text.utf8).span) }

    @Test("JobPayload: a job is read in every shape upstreams give it")
    func shapes() throws {
        let aitronos = try #require(
            read(
                #"{"job_id":"job_1","status":"running","job_type":"sync","connection_id":"conn_1","#
                    + #""start_time":"2024-06-15T10:00:00Z","bytes_synced":3000000000}"#))
        #expect(aitronos.id == "job_1" && aitronos.connection == "conn_1" && aitronos.type == "sync")
        #expect(aitronos.status == "running" && aitronos.startedAt == 1_718_445_600_000)
        #expect(read(#"{"jobId":"j","status":"pending","jobType":"reset","connectionId":"c"}"#)?.type == "reset")

        let airweave = try #require(
            read(
                #"{"id":"5F2504E04F8911D39A0C0305E82C3301","source_connection_id":"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11","#
                    + #""status":"COMPLETED","started_at":"2024-06-15T10:00:00.123456","entities_inserted":1}"#))
        #expect(airweave.id == "5f2504e0-4f89-11d3-9a0c-0305e82c3301")
        #expect(airweave.spelling == "5F2504E04F8911D39A0C0305E82C3301")
        #expect(airweave.connection == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        #expect(airweave.startedAt == 1_718_445_600_123 && airweave.type == nil)
        #expect(airweave.job(type: "run", location: nil).hasEnded)

        let airbyte = try #require(read(#"{"job":{"id":9007199254740993,"status":"succeeded"},"attempts":[{"id":0}]}"#))
        #expect(airbyte.id == "9007199254740993" && airbyte.connection == nil)
        #expect(read(#"{"data":{"job_id":7}}"#)?.id == "7")
        #expect(read(#"{"job_id":"j"}"#)?.status == "pending")
        #expect(read(#"{"job_id":"j","start_time":17,"status":null,"connection_id":null}"#)?.startedAt == nil)
    }

    @Test("JobPayload: an unknown status counts as running")
    func unknownStatus() {
        for status in ["queued", "incomplete", "cancelling", "done", "error", "", "FAILED "] where !status.isEmpty {
            #expect(read(#"{"job_id":"j","status":"\#(status)"}"#)?.job(type: "sync", location: nil).hasEnded == false)
        }
        for status in ["succeeded", "FAILED", "Cancelled", "completed"] {
            #expect(read(#"{"job_id":"j","status":"\#(status)"}"#)?.job(type: "sync", location: nil).hasEnded == true)
        }
    }

    @Test(
        "JobPayload: other objects are not jobs",
        arguments: [
            "", "{", "null", "7", "[]", "{}", #"{"status":"refreshing"}"#, #"{"id":"x","status":"active"}"#,
            #"{"id":"x","source_connection_id":"c"}"#, #"{"job_id":"a","job_id":"b"}"#, #"{"job_id":"a","jobId":"b"}"#,
            #"{"job_id":"a","connection_id":"b","connectionId":"c"}"#, #"{"job_id":-1}"#, #"{"job_id":1.5}"#,
            #"{"job_id":1e3}"#, #"{"job_id":99999999999999999999}"#, #"{"job_id":true}"#, #"{"job_id":{}}"#,
            #"{"job_id":""}"#, #"{"job_id":"a b"}"#, #"{"job_id":"../x"}"#, #"{"job_id":"a/b"}"#, #"{"job_id":".."}"#,
            #"{"job_id":"j","status":7}"#, #"{"job_id":"j","status":""}"#, #"{"job_id":"j","connection_id":["c"]}"#,
            #"{"job_id":"j","job_type":{}}"#, #"{"job":{"job":{"id":1}}}"#, #"{"job":"j"}"#, #"{"data":[]}"#,
            #"{"job_id":"j"} x"#,
        ])
    func noJob(text: String) { #expect(read(text) == nil) }

    @Test("JobPayload: names that are too long are not read")
    func tooLong() {
        let long = String(repeating: "x", count: 129)
        #expect(read(#"{"job_id":"\#(long)"}"#) == nil)
        #expect(read(#"{"job_id":"j","status":"\#(long)"}"#) == nil)
        #expect(read(#"{"job_id":"j","job_type":"\#(long)"}"#) == nil)
        #expect(read(String(repeating: "[", count: 100_000)) == nil)
    }

    @Test("JobPayload: a list is read in every shape, and counts what could not be read")
    func lists() throws {
        let job = #"{"job_id":"a","status":"running","connection_id":"c"}"#
        let jobs = try #require(list(#"{"data":[\#(job),{"nothing":1}],"total":7}"#))
        #expect(jobs.jobs.map(\.id) == ["a"] && jobs.total == 7 && jobs.unreadable == 1 && jobs.count == 2)
        #expect(list("[\(job)]")?.jobs.count == 1)
        #expect(list(#"{"jobs":[{"job":{"id":1,"status":"running"},"attempts":[]}]}"#)?.jobs.map(\.id) == ["1"])
        #expect(list("[]") == JobList(jobs: [], total: nil, hasNextPage: nil, unreadable: 0))
        #expect(list(#"{"data":[],"total":"7"}"#)?.total == nil)
        for text in ["", "{}", "null", #"{"data":{}}"#, job, "[", #"[{"a":1,"a":2}]"#] { #expect(list(text) == nil) }
    }

    @Test("JobPayload: a job that contains another one is ambiguous")
    func nested() {
        #expect(read(#"{"job_id":"a","status":"running","job":{"id":"b","status":"failed"}}"#) == nil)
        #expect(read(#"{"job_id":"a","status":"running","data":{"job_id":"b","status":"failed"}}"#) == nil)
        #expect(read(#"{"job_id":"a","status":"running","job":{"id":"a","status":"running"}}"#)?.id == "a")
        #expect(read(#"{"job_id":"a","status":"running","data":{"rows":7}}"#)?.id == "a")
        #expect(read(#"{"status":"ok","job":{"id":"a","status":"running"}}"#)?.id == "a")
        #expect(list(#"[{"job_id":"a","status":"running","job":{"id":"b","status":"failed"}}]"#)?.unreadable == 1)
    }

    @Test("JobPayload: no change of any byte of a body traps")
    func mutations() {
        let body = Array(
            #"{"data":[{"job_id":"j1","status":"running","start_time":"2024-06-15T10:00:00Z"}],"total":1}"#.utf8)
        for index in body.indices {
            for byte in Array("\"\\{}[],:09-.eEtfn\u{0} aZ".utf8) + [0x80, 0xFF] {
                var changed = body
                changed[index] = byte
                _ = JobList.read(changed.span)
                _ = JobPayload.read(changed.span)
            }
        }
    }
}
