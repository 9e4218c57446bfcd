import JSON
import Testing

@testable import Gateway

@Suite("The connection in a body")
struct ReadStageTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let body: String
        /// The connection that is leased, or the code of the refusal.
        let outcome: String
        let status: Int

        init(_ body: String, _ outcome: String, _ status: Int = 200) {
            (self.body, self.outcome, self.status) = (body, outcome, status)
        }

        var testDescription: String { body.prefix(60) + " is \(outcome)" }
    }

    private static let uuid = "550e8400-e29b-41d4-a716-446655440000"

    static let rows = [
        Row(#"{"connection_id":"conn_1"}"#, "conn_1"), Row(#"{"connectionId":"conn_1"}"#, "conn_1"),
        Row(#" { "job_type" : "sync", "connectionId" : "conn_1" } "#, "conn_1"),
        Row(#"{"connection_id":"conn_1","connectionId":"conn_1"}"#, "conn_1"),
        Row(#"{"connection_id":"conn\u005f1"}"#, "conn_1"),
        Row(#"{"other":{"connection_id":"conn_2"},"connection_id":"conn_1"}"#, "conn_1"),
        Row(#"{"connection_id":"\#(uuid.uppercased())"}"#, uuid),
        Row(#"{"connection_id":"\#(uuid.replacing("-", with: ""))","connectionId":"\#(uuid)"}"#, uuid),

        Row(#"{"connection_id":"conn_1","connectionId":"conn_2"}"#, "CONFLICTING_FIELDS", 400),
        Row(#"{"connection_id":"conn_1","connectionId":"Conn_1"}"#, "CONFLICTING_FIELDS", 400),
        Row(#"{"connection_id":"conn_1","connection_id":"conn_1"}"#, "INVALID_JSON", 400),
        Row(#"{"connection_id":"conn_1","connection\u005fid":"conn_2"}"#, "INVALID_JSON", 400),
        Row("", "INVALID_JSON", 400), Row("{", "INVALID_JSON", 400), Row("{} x", "INVALID_JSON", 400),
        Row(#"{"connection_id":"\#("\u{1}")"}"#, "INVALID_JSON", 400),
        Row(#"{'connection_id':'c'}"#, "INVALID_JSON", 400),
        Row("[]", "VALIDATION_ERROR", 422), Row("null", "VALIDATION_ERROR", 422),
        Row(#""conn_1""#, "VALIDATION_ERROR", 422), Row("{}", "VALIDATION_ERROR", 422),
        Row(#"{"Connection_Id":"conn_1"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"other":{"connection_id":"conn_2"}}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","Connection_ID":"conn_2"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","CONNECTIONID":"conn_1"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection-id":"conn_2","connection_id":"conn_1"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","connection.id":"conn_2"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","connection_id\u0000x":"conn_2"}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","connection_ids":"conn_2","connect":1,"id":2}"#, "conn_1"),
        Row(#"{"connection_id":null}"#, "VALIDATION_ERROR", 422), Row(#"{"connection_id":1}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":["conn_1"]}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":"conn_1","connectionId":7}"#, "VALIDATION_ERROR", 422),
        Row(#"{"connection_id":""}"#, "INVALID_IDENTIFIER", 400),
        Row(#"{"connection_id":"a/b"}"#, "INVALID_IDENTIFIER", 400),
        Row(#"{"connection_id":".."}"#, "INVALID_IDENTIFIER", 400),
        Row(#"{"connection_id":" c"}"#, "INVALID_IDENTIFIER", 400),
        Row(#"{"connection_id":"\#("caf\u{e9}")"}"#, "INVALID_IDENTIFIER", 400),
        Row(#"{"connection_id":"\#(String(repeating: "x", count: 129))"}"#, "INVALID_IDENTIFIER", 400),
    ]

    @Test("ReadStage: both spellings are read, and an ambiguous body is refused", arguments: rows)
    func connection(row: Row) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        let key = LeaseKey(organization: "org_a", connection: row.outcome)
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_1", key: key))
        let answer = try client.call("POST", PlainClient.jobs, body: row.body)
        #expect(answer.status == row.status, "\(answer.text)")
        if row.status == 200 {
            #expect(pipeline.upstream.requests.map(\.body) == [Array(row.body.utf8)], "the body goes on untouched")
            let refused = try client.call("POST", PlainClient.jobs, body: row.body)
            #expect(refused.error?["details"]?["connection_id"]?.string == row.outcome)
        } else {
            #expect(answer.code == row.outcome)
            #expect(pipeline.upstream.requests.isEmpty)
        }
    }

    @Test(
        "ReadStage: what is not said to be JSON in UTF-8, as it stands, is not read as that",
        arguments: [
            (nil, true), ("application/json", true), ("APPLICATION/JSON;charset=UTF-8", true),
            ("application/vnd.api+json ; charset=\"utf-8\"", true),
            ("application/json; odata=verbose;charset=utf-8", true),
            ("application/json; charset=utf-16", false), ("application/json; charset=utf-8; charset=utf-7", false),
            ("application/json; charset=\"ut\\f-8\"", false), ("application/json; x=\"a;charset=utf-7\"", false),
            ("application/json; charset*=us-ascii''utf-7", false), ("application/x-www-form-urlencoded+json", false),
            ("application/ld+json; profile=\"https://a/b c\"", true), ("application/json;", false),
            ("application/json x", false),
            ("application/x-www-form-urlencoded", false), ("text/plain", false),
            ("multipart/form-data; boundary=x", false),
            ("application/json, text/plain", false), ("application/xjson", false), ("application/", false), ("", false),
            ("application", false), ("text/json", false), ("application/json; charset", false), ("*/*", false),
            ("application/+json", false),
        ] as [(String?, Bool)])
    func mediaType(type: String?, isRead: Bool) throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200)
        let fields = ["Authorization: Bearer token-a"] + (type.map { ["Content-Type: \($0)"] } ?? [])
        let answer = try client.call("POST", PlainClient.jobs, fields, body: #"{"connection_id":"conn_1"}"#)
        #expect(answer.status == (isRead ? 200 : 415), "\(answer.text)")
        #expect(pipeline.upstream.requests.count == (isRead ? 1 : 0))
        if !isRead {
            #expect(answer.code == "UNSUPPORTED_MEDIA_TYPE")
            #expect(answer.error?["details"]?["accept"]?.string == "application/json")
        }
    }

    @Test(
        "ReadStage: a coded body is not read as it stands",
        arguments: [("gzip", 415), ("identity", 200), ("identity, gzip", 415)])
    func contentCoding(coding: String, status: Int) throws {
        let pipeline = try TestPipeline()
        let fields = ["Authorization: Bearer token-a", "Content-Encoding: \(coding)"]
        let answer = try PlainClient(pipeline)
            .call("POST", PlainClient.jobs, fields, body: #"{"connection_id":"conn_1"}"#)
        #expect(answer.status == status, "\(answer.text)")
    }

    @Test(
        "ReadStage: the query does not name the connection, in any spelling that some reader understands",
        arguments: [
            ("connection_id=b", true), ("a=1&connectionId=b", true), ("a=1;connection_id=b", true),
            ("connection_id", true),
            ("%63onnection%5Fid=b", true), ("CONNECTION-ID=b", true), ("connection.id=b", true),
            ("connection+id=b", true),
            ("connection_id[]=b", true), ("connection_id%00x=b", true), ("connection[id=b", true),
            ("connect%C4%B1on_%C4%B0d=b", true), ("%EF%BB%BFconnection_id=b", true), ("connection_id%E2%80%8B=b", true),
            ("connection" + String(repeating: "_", count: 300) + "id=b", true),
            ("connection_id[" + String(repeating: "x", count: 300) + "]=b", true),
            ("%EF%BB%BF=b", false),
            ("%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1%C4%B1=b", false),
            ("", false), ("a=connection_id", false), ("a=b=connection_id", false), ("my_connection_id=b", false),
            ("connection=b", false), ("connection_ids=b", false), ("%zz&&=&%", false),
        ])
    func query(query: String, isNamed: Bool) {
        #expect(FieldSpelling.isNamed(["connection_id", "connectionId"], inQuery: Array(query.utf8).span) == isNamed)
    }

    @Test("ReadStage: non-ASCII letters that stand for an ASCII letter, or for nothing, are recognized")
    func folding() {
        #expect(FieldSpelling.isAnother(of: ["task_id"], "ta\u{17F}k_id"))
        #expect(FieldSpelling.isAnother(of: ["task_id"], "tas\u{212A}_id"))
        #expect(!FieldSpelling.isAnother(of: ["task_id"], "task_id"))
        for name in [
            "t\u{E4}sk_id", "task_\u{130}d", "t\u{430}sk_id", "task\u{AD}_id", "ta\u{FB05}k_id", "task_id\u{301}",
        ] {
            #expect(FieldSpelling.isAnother(of: ["task_id"], name), "\(name)")
        }
        for name in [
            "\u{540D}\u{524D}\u{540D}\u{524D}\u{540D}\u{524D}", "t\u{E4}\u{E4}\u{E4}\u{E4}d", "t\u{E4}sk_ids", "",
            "\u{E4}",
        ] {
            #expect(!FieldSpelling.isAnother(of: ["task_id"], name), "\(name)")
        }
    }

    @Test("ReadStage: however long a name is, it is read to its end")
    func longNames() {
        let gap = String(repeating: "_", count: 100_000)
        #expect(FieldSpelling.isAnother(of: ["task_id"], "task\(gap)id"))
        #expect(FieldSpelling.isAnother(of: ["task_id"], "task_id\0\(gap)x"))
        #expect(!FieldSpelling.isAnother(of: ["task_id"], "task\(gap)x"))
        #expect(!FieldSpelling.isAnother(of: ["\(gap)"], "\(gap)_"))
    }

    @Test("ReadStage: a body that is no UTF-8 is refused where it goes wrong")
    func invalidUTF8() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        client.send("POST", PlainClient.jobs, body: Array(#"{"connection_id":""#.utf8) + [0xFF] + Array(#""}"#.utf8))
        let answer = try client.answer()
        #expect(answer.status == 400 && answer.code == "INVALID_JSON")
        #expect(answer.error?["details"]?["offset"]?.integer == 18)
    }

    @Test("ReadStage: above the limit of an inspected body there is 413, also where no length was announced")
    func tooLarge() throws {
        let pipeline = try TestPipeline()
        let body = [UInt8](repeating: 0x20, count: (1 << 20) + 1)
        let announced = try PlainClient(pipeline)
        announced.send(
            "POST", PlainClient.jobs, ["Authorization: Bearer token-a", "Content-Length: \(body.count)"])
        let answer = try announced.answer()
        #expect(answer.status == 413 && answer.code == "PAYLOAD_TOO_LARGE")
        #expect(answer.error?["details"]?["limit_bytes"]?.integer == 1 << 20)
        #expect(answer.fields("connection") == ["close"])
        let chunked = try PlainClient(pipeline)
        chunked.send("POST", PlainClient.jobs, ["Authorization: Bearer token-a", "Transfer-Encoding: chunked"])
        chunked.send(Array("\(String(body.count, radix: 16))\r\n".utf8) + body)
        #expect(try chunked.answer().status == 413)
        #expect(pipeline.upstream.requests.isEmpty)
    }

    @Test(
        "ReadStage: the connection of a job in the path is looked up, and a missing job is left to the upstream"
    )
    func jobInPath() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        pipeline.upstream.answers(200, job: ScriptedUpstream.job("job_2"))
        #expect(try client.call("POST", PlainClient.jobs + "/job_1/retry").status == 200)
        #expect(try client.trigger().status == 409)
        pipeline.upstream.answers(404)
        for _ in 0..<2 { #expect(try client.call("POST", PlainClient.jobs + "/absent/retry").status == 404) }
    }

    @Test("ReadStage: the target goes on as the client wrote it")
    func target() throws {
        let pipeline = try TestPipeline()
        let query = "?created_at_start=2024-01-01T00%3A00%3A00%2B02%3A00&order_by=createdAt%7CDESC&x=%zz&&y"
        #expect(try PlainClient(pipeline).call("GET", PlainClient.jobs + query).status == 200)
        #expect(
            pipeline.upstream.requests.map { String(decoding: $0.target, as: UTF8.self) } == [PlainClient.jobs + query])
    }
}
