import Testing

@testable import Gateway

@Suite("Fingerprints of requests")
struct RequestFingerprintTests {
    /// Whether the second body counts as the first one sent again.
    private func isSame(_ first: String, _ second: String) throws -> Bool {
        let pipeline = try TestPipeline(resends: true)
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_1"))
        let begun = try client.call("POST", PlainClient.jobs, body: first)
        #expect(begun.status == 200, "\(begun.text)")
        return try client.call("POST", PlainClient.jobs, body: second).status == 200
    }

    @Test(
        "RequestFingerprint: spaces, the order of members and their two spellings do not matter",
        arguments: [
            #"{"connection_id":"conn_1","job_type":"sync","n":1}"#,
            #"{ "n" : 1, "jobType": "sync", "connectionId": "conn_1" }"#,
        ])
    func same(body: String) throws {
        #expect(try isSame(#"{"connection_id":"conn_1","job_type":"sync","n":1}"#, body))
    }

    @Test(
        "RequestFingerprint: other values are another request, also where a double would round them",
        arguments: [
            #"{"connection_id":"conn_1","n":18446744073709551614}"#, #"{"connection_id":"conn_1","n":1e400}"#,
            #"{"connection_id":"conn_1","n":null}"#, #"{"connection_id":"conn_1"}"#,
        ])
    func other(body: String) throws {
        #expect(try !isSame(#"{"connection_id":"conn_1","n":18446744073709551615}"#, body))
    }

    @Test("RequestFingerprint: a body with both spellings of a member is the same only byte for byte")
    func bothSpellings() throws {
        let body = #"{"connection_id":"conn_1","jobType":"a","job_type":"b"}"#
        #expect(try isSame(body, body))
        #expect(try !isSame(body, #"{"connection_id":"conn_1","jobType":"b","job_type":"a"}"#))
    }

    @Test("RequestFingerprint: names with many combining marks do not keep the loop busy")
    func combiningMarks() throws {
        let marks = String(repeating: "\u{301}\u{323}", count: 15_000)
        let body = #"{"connection_id":"conn_1","a\#(marks)x":1,"a\#(marks)y":2}"#
        // Longer than any fingerprint: the request is served, and a second one conflicts.
        #expect(try !isSame(body, body))
        let short = String(repeating: "\u{301}\u{323}", count: 3_000)
        let inside = #"{"connection_id":"conn_1","a\#(short)x":1,"a\#(short)y":2}"#
        #expect(try isSame(inside, inside))
    }

    @Test("RequestFingerprint: another path is another request, also where one route matches both")
    func path() throws {
        let fingerprints = RequestFingerprints()
        func fingerprint(_ path: String) throws -> RequestFingerprint? {
            fingerprints.fingerprint(of: try .parsed("POST \(path) HTTP/1.1\nHost: a\n\n"), .whole([]), nil)
        }
        let first = try fingerprint("/connections/conn_1/streams/test/clear")
        #expect(first != nil)
        #expect(try fingerprint("/connections/conn_1/streams/customers/clear") != first)
        #expect(try fingerprint("/connections/conn_1/streams/test/clear?x=1") != first)
        #expect(try fingerprint("/connections/conn_1/streams/test/clear/") == first)
    }

    @Test("RequestFingerprint: two long names that differ in one mark do not keep the loop busy")
    func neighbours() throws {
        let marks = String(repeating: "\u{316}\u{301}", count: 7_000)
        let body = #"{"connection_id":"conn_1","a\#(marks)\#u{316}":1,"a\#(marks)\#u{301}":2}"#
        #expect(try isSame(body, body))
    }
}
