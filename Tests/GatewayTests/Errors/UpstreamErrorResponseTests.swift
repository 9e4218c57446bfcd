import JSON
import TestSupport
import Testing

@testable import Gateway
@testable import Policy

@Suite("Errors of upstreams")
struct UpstreamErrorResponseTests {
    struct Row: Sendable {
        let status: Int
        let body: [UInt8]
        let code: String
        let message: String
        let details: String
        var type = "application/json"
        var isTruncated = false

        init(
            _ status: Int, _ body: String, _ code: String, _ message: String, _ details: String = "{}",
            type: String = "application/json", isTruncated: Bool = false
        ) {
            self.init(status, Array(body.utf8), code, message, details, type: type, isTruncated: isTruncated)
        }

        init(
            _ status: Int, _ body: [UInt8], _ code: String, _ message: String, _ details: String = "{}",
            type: String = "application/json", isTruncated: Bool = false
        ) {
            (self.status, self.body, self.code, self.message) = (status, body, code, message)
            (self.details, self.type, self.isTruncated) = (details, type, isTruncated)
        }
    }

    private static let failed = "The connector service failed."
    private static let unreachable = "The connector service could not be reached or gave no valid response."
    private static let malformed = "The request is malformed."
    private static let unavailable = "The service is temporarily unavailable."

    static let envelopes: [Row] = [
        Row(
            404,
            #"{"success":false,"error":{"code":"CONNECTOR_JOB_NOT_FOUND","message":"Gone.","status":404,"details":{"a":1}}}"#,
            "CONNECTOR_JOB_NOT_FOUND", "Gone.", #"{"a":1}"#),
        // Another status than the line's: the line is right, and the code is one of another answer.
        Row(
            500, #"{"error":{"code":"CONNECTOR_JOB_NOT_FOUND","message":"Gone.","status":404,"details":{"a":1}}}"#,
            "UPSTREAM_ERROR", failed),
        Row(
            400, #"{"error":{"code":"CONNECTOR_JOB_NOT_FOUND","message":"Gone.","status":404,"details":{"a":1}}}"#,
            "BAD_REQUEST", "Gone.", #"{"a":1}"#),
        Row(400, #"{"error":{"message":"no code"}}"#, "BAD_REQUEST", "no code"),
        Row(400, #"{"error":{"code":"has spaces in it","message":""}}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"error":{"code":"404","message":" \n "}}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"error":{"code":null,"message":null,"details":null}}"#, "BAD_REQUEST", malformed),
        Row(
            404, #"{"error":{"code":"X","details":{"a":{"b":[1.50,null]},"c":"d","upstream":"secret"}}}"#, "X",
            "The requested resource was not found.", #"{"a":{"b":[1.50,null]},"c":"d"}"#),
        Row(
            409, #"{"error":{"code":"X","message":"m","details":["a","b"]}}"#, "X", "m", #"{"errors":["a","b"]}"#),
        Row(409, #"{"error":{"code":"X","message":"m","details":"text"}}"#, "X", "m"),
        Row(
            404, #"{"error":{"code":404,"message":"Job not found","status":"NOT_FOUND","details":[{"@type":"t"}]}}"#,
            "NOT_FOUND", "Job not found", #"{"errors":[{"@type":"t"}]}"#),
        Row(400, #"{"error":{"description":"odd one"}}"#, "BAD_REQUEST", "odd one"),
        Row(400, #"{"error":{"status":"error","message":"m"}}"#, "BAD_REQUEST", "m"),
        Row(400, #"{"error":{}}"#, "BAD_REQUEST", malformed),
    ]

    static let details: [Row] = [
        Row(
            404, #"{"detail":"Source connection not found"}"#, "NOT_FOUND", "Source connection not found"),
        Row(
            400, #"{"detail":"Bad","status_code":400,"error_type":"BAD_THING","meta":{"n":1},"errors":[]}"#,
            "BAD_THING", "Bad", #"{"errors":[],"meta":{"n":1}}"#),
        Row(
            422, #"{"detail":[{"loc":["body","streams",0],"msg":"field required","type":"missing"}]}"#,
            "VALIDATION_ERROR", "body.streams.0: field required",
            #"{"errors":[{"loc":["body","streams",0],"msg":"field required","type":"missing"}]}"#),
        Row(
            422, #"{"detail":["too short"]}"#, "VALIDATION_ERROR", "too short", #"{"errors":["too short"]}"#),
        Row(422, #"{"detail":[]}"#, "VALIDATION_ERROR", "A field of the request is invalid.", #"{"errors":[]}"#),
        Row(
            422, #"{"detail":[[[]],7]}"#, "VALIDATION_ERROR", "A field of the request is invalid.",
            #"{"errors":[[[]],7]}"#),
        Row(
            400, #"{"detail":{"code":"PAUSED","message":"Sync is paused"}}"#, "PAUSED", "Sync is paused",
            #"{"code":"PAUSED","message":"Sync is paused"}"#),
        Row(400, #"{"detail":{}}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"detail":null,"message":"said elsewhere"}"#, "BAD_REQUEST", "said elsewhere"),
        Row(400, #"{"detail":12,"message":"said elsewhere"}"#, "BAD_REQUEST", "said elsewhere"),
        Row(400, #"{"detail":"","message":"said elsewhere"}"#, "BAD_REQUEST", "said elsewhere"),
        // Both would be `errors`; the one that is shown is there once.
        Row(
            422, #"{"title":"T","detail":["a"],"errors":["b"]}"#, "VALIDATION_ERROR", "a", #"{"errors":["a"]}"#),
    ]

    static let problems: [Row] = [
        Row(
            403,
            #"{"type":"about:blank","title":"Forbidden","status":403,"detail":"Not yours","instance":"/x","balance":30}"#,
            "ACCESS_DENIED", "Not yours", #"{"title":"Forbidden","instance":"/x","balance":30}"#,
            type: "application/problem+json"),
        Row(
            403, #"{"title":"T","type":"urn:x","balance":30,"upstream":"secret"}"#, "ACCESS_DENIED", "T",
            #"{"type":"urn:x","balance":30}"#, type: "application/problem+json"),
        Row(410, #"{"title":"Gone for good"}"#, "REQUEST_FAILED", "Gone for good"),
        // A status of its own changes nothing (RFC 9457, section 3.1.4: it is advisory).
        Row(400, #"{"title":"T","status":404}"#, "BAD_REQUEST", "T"),
        Row(
            400, #"{"title":"One or more errors.","code":"E_VALID","errors":{"Name":["is required"]}}"#, "E_VALID",
            "One or more errors.", #"{"errors":{"Name":["is required"]}}"#),
        Row(
            400, #"{"title":7,"type":"urn:x","detail":"d"}"#, "BAD_REQUEST", "d", #"{"title":7,"type":"urn:x"}"#),
    ]

    static let lists: [Row] = [
        Row(
            422, #"{"errors":[{"body.limit":"must be > 0"}]}"#, "VALIDATION_ERROR", "body.limit: must be > 0",
            #"{"errors":[{"body.limit":"must be > 0"}]}"#),
        Row(
            422, #"{"errors":[{"status":"422","code":"E_NAME","title":"Invalid","detail":"must not be empty"}]}"#,
            "E_NAME", "must not be empty",
            #"{"errors":[{"status":"422","code":"E_NAME","title":"Invalid","detail":"must not be empty"}]}"#),
        Row(
            422, #"{"errors":{"name":["can't be blank","is short"]}}"#, "VALIDATION_ERROR", "name: can't be blank",
            #"{"errors":{"name":["can't be blank","is short"]}}"#),
        Row(422, #"{"message":"Invalid","errors":["a"]}"#, "VALIDATION_ERROR", "Invalid", #"{"errors":["a"]}"#),
        Row(422, #"{"errors":"text"}"#, "VALIDATION_ERROR", "A field of the request is invalid."),
    ]

    static let texts: [Row] = [
        Row(409, #"{"message":"A sync is already running"}"#, "CONFLICT", "A sync is already running"),
        Row(409, #"{"code":"RUNNING","msg":"busy"}"#, "RUNNING", "busy"),
        Row(400, #"{"error":"bad thing"}"#, "BAD_REQUEST", "bad thing"),
        Row(
            400, #"{"error":"Bad Request","message":"No such stream","statusCode":400}"#, "BAD_REQUEST",
            "No such stream"),
        Row(429, #"{"error":"quota_exceeded","message":"Slow down"}"#, "quota_exceeded", "Slow down"),
        Row(
            400, #"{"message":["a is required","b is required"],"error":"Bad Request"}"#, "BAD_REQUEST",
            "a is required", #"{"errors":["a is required","b is required"]}"#),
        Row(
            401, #"{"error":"invalid_token","error_description":"The access token expired"}"#, "invalid_token",
            "The access token expired"),
        Row(
            401, #"{"error":"not a code","error_description":"d"}"#, "AUTHENTICATION_REQUIRED", "d"),
        Row(400, #"{"status":"error"}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"message":{"text":"deeper"}}"#, "BAD_REQUEST", malformed),
    ]

    static let silent: [Row] = [
        Row(502, "<html><body><h1>502 Bad Gateway</h1></body></html>", "BAD_GATEWAY", unreachable, type: "text/html"),
        Row(502, "<html><body>nginx</body></html>", "BAD_GATEWAY", unreachable),
        Row(
            404, #"{"detail":"JSON all the same"}"#, "NOT_FOUND", "JSON all the same", type: "text/html; charset=utf-8"),
        Row(404, #"{"detail":"JSON all the same"}"#, "NOT_FOUND", "JSON all the same", type: ""),
        Row(500, "", "UPSTREAM_ERROR", failed),
        Row(500, " \r\n ", "UPSTREAM_ERROR", failed),
        Row(500, "Traceback (most recent call last):", "UPSTREAM_ERROR", failed, type: "text/plain"),
        Row(503, "upstream connect error", "SERVICE_UNAVAILABLE", unavailable, type: "text/plain"),
        Row(500, "[]", "UPSTREAM_ERROR", failed),
        Row(500, #"[{"msg":"in a list"}]"#, "UPSTREAM_ERROR", failed),
        Row(500, "null", "UPSTREAM_ERROR", failed),
        Row(500, #""only a text""#, "UPSTREAM_ERROR", failed),
        Row(500, "{}", "UPSTREAM_ERROR", failed),
        Row(500, #"{"error":"#, "UPSTREAM_ERROR", failed, isTruncated: true),
        Row(404, #"{"detail":"whole"}   "#, "NOT_FOUND", "whole", isTruncated: true),
        Row(400, #"{"message":"a","message":"b"}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"message":"a",}"#, "BAD_REQUEST", malformed),
        Row(400, #"{"message":"a"}{"message":"b"}"#, "BAD_REQUEST", malformed),
        Row(400, Array("{\"message\":\"".utf8) + [0xFF, 0xFE] + Array("\"}".utf8), "BAD_REQUEST", malformed),
        Row(400, [0xEF, 0xBB, 0xBF] + Array(#"{"message":"after a mark"}"#.utf8), "BAD_REQUEST", "after a mark"),
        Row(400, [0xEF, 0xBB, 0xBF], "BAD_REQUEST", malformed),
        Row(400, [0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00], "BAD_REQUEST", malformed),
        Row(500, [0x1F, 0x8B, 0x08, 0x00, 0x00], "UPSTREAM_ERROR", failed),
        Row(418, "short and stout", "REQUEST_FAILED", "The request failed."),
        Row(451, "", "REQUEST_FAILED", "The request failed."),
        Row(507, "", "UPSTREAM_ERROR", failed),
        Row(
            400, #"{"message":"\#(String(repeating: "[", count: 40))"}"#, "BAD_REQUEST",
            String(repeating: "[", count: 40)),
        Row(
            400,
            #"{"message":"m","deep":\#(String(repeating: "[", count: 33) + String(repeating: "]", count: 33))}"#,
            "BAD_REQUEST", malformed),
        Row(
            400, #"{"message":"m","many":[\#(Array(repeating: "1", count: 5000).joined(separator: ","))]}"#,
            "BAD_REQUEST", malformed),
        Row(
            400, #"{"message":"one\r\n\ttwo\u0000\u001b[31m\u009b three\u202e four"}"#, "BAD_REQUEST",
            "one two [31m three four"),
    ]

    /// Everything that an upstream can say of its failure, in each shape that is read.
    static let failures = [
        #"{"detail":"LEAK"}"#, #"{"detail":{"a":"LEAK","message":"LEAK"}}"#, #"{"detail":["LEAK"]}"#,
        #"{"detail":[{"loc":["LEAK"],"msg":"LEAK"}]}"#, #"{"message":"LEAK"}"#, #"{"msg":"LEAK"}"#,
        #"{"error":"LEAK"}"#,
        #"{"error":{"message":"LEAK"}}"#, #"{"error":{"details":{"a":"LEAK"},"system_message":"LEAK"}}"#,
        #"{"error":{"code":"leak LEAK"}}"#, #"{"error":{"code":"db.leak-LEAK"}}"#, #"{"code":"leaks"}"#,
        #"{"title":"LEAK","detail":"LEAK","instance":"/LEAK","exception":"LEAK"}"#,
        #"{"timestamp":"LEAK","status":500,"error":"LEAK","trace":"LEAK","path":"/LEAK"}"#,
        #"{"error":"leak_it","error_description":"LEAK"}"#, #"{"message":["LEAK"],"meta":{"a":"LEAK"}}"#,
        #"{"errors":[{"message":"LEAK","extensions":{"exception":{"stacktrace":["LEAK"]}}}]}"#,
        #"{"errors":{"a":["LEAK"]},"meta":"LEAK"}"#, "LEAK", "<h1>LEAK</h1>", #""LEAK""#, #"["LEAK"]"#,
    ]

    @Test(
        "UpstreamErrorResponse: for a failure the client gets the catalogue's message, and the log the upstream's",
        arguments: failures)
    func failure(body: String) throws {
        for (status, code, message) in [
            (500, "UPSTREAM_ERROR", Self.failed), (502, "BAD_GATEWAY", Self.unreachable),
            (503, "SERVICE_UNAVAILABLE", Self.unavailable),
        ] {
            let envelope = try ReadEnvelope(status, body)
            #expect(envelope.status == status)
            #expect(envelope.code == code)
            #expect(envelope.message == message)
            #expect(envelope.details == "{}")
            #expect(envelope.json["error"]?["system_message"] == nil)
            #expect(envelope.answer.upstreamText?.lowercased().contains("leak") == true)
            // Unless policy says otherwise.
            #expect(try ReadEnvelope(status, body, showsOriginalError: true).details.lowercased().contains("leak"))
        }
    }

    @Test("UpstreamErrorResponse: a code is kept, and what a rule sets; a rule may show the rest")
    func failureByRule() throws {
        let body = #"{"error":{"code":"CONNECTOR_SOURCE_DOWN","message":"LEAK"}}"#
        #expect(try ReadEnvelope(500, body).code == "CONNECTOR_SOURCE_DOWN")
        func rule(_ message: String?, shows: Bool?) -> ErrorRule {
            ErrorRule(
                name: "r", statuses: 500...599,
                replacement: .init(status: 503, code: nil, message: message, retryAfterSeconds: nil),
                showsOriginalError: shows)
        }
        let told = try ReadEnvelope(500, body, rules: [rule("Down for maintenance.", shows: nil)])
        #expect(told.status == 503 && told.message == "Down for maintenance." && told.details == "{}")
        #expect(try ReadEnvelope(500, body, rules: [rule(nil, shows: true)]).message == "LEAK")
        #expect(
            try ReadEnvelope(500, body, rules: [rule(nil, shows: false)], showsOriginalError: true).message
                == Self.unavailable)
    }

    @Test("UpstreamErrorResponse: the text for the log is one line of at most 512 bytes")
    func words() throws {
        let long = try ReadEnvelope(500, #"{"detail":"\#(String(repeating: "a\u{1b}\u{e9}", count: 3000))"}"#).answer
            .upstreamText
        #expect((500...512).contains(long?.utf8.count ?? 0))
        #expect(try ReadEnvelope(404, "a\n\tb \u{7f}").answer.upstreamText == "a b")
        #expect(try ReadEnvelope(500, "").answer.upstreamText == nil)
    }

    static let rows = envelopes + details + problems + lists + texts + silent

    @Test("UpstreamErrorResponse: each shape of an upstream's error becomes ours", arguments: 0..<rows.count)
    func shapes(index: Int) throws {
        let row = Self.rows[index]
        let envelope = try ReadEnvelope(
            UpstreamErrorResponse(
                status: row.status, contentType: row.type, body: row.body, isTruncated: row.isTruncated))
        #expect(envelope.status == row.status)
        #expect(envelope.code == row.code)
        #expect(envelope.message == row.message)
        #expect(envelope.details == row.details)
        #expect(envelope.json["error"]?["type"]?.string == (row.status < 500 ? "client_error" : "server_error"))
        #expect(envelope.json["detail"]?.string == row.message)
        #expect(envelope.answer.response.receivedStatus == row.status)
    }

    @Test("UpstreamErrorResponse: the developer fields of our envelope are kept, but not beside another message")
    func systemMessage() throws {
        let body = #"{"error":{"code":"X","message":"m","system_message":"shard\u0007 7"}}"#
        #expect(try ReadEnvelope(400, body).json["error"]?["system_message"]?.string == "shard 7")
        #expect(
            try ReadEnvelope(400, #"{"message":"m","system_message":"s"}"#).json["error"]?["system_message"] == nil)
        let rule = ErrorRule(
            name: "r", statuses: 400...400,
            replacement: .init(status: nil, code: nil, message: "n", retryAfterSeconds: nil))
        #expect(try ReadEnvelope(400, body, rules: [rule]).json["error"]?["system_message"] == nil)
    }

    @Test(
        "UpstreamErrorResponse: a long message is cut, also where it is one character",
        arguments: ["x", "\u{301}", "\u{1F600}", " y"])
    func longMessage(unit: String) throws {
        let message =
            try ReadEnvelope(400, #"{"message":"e\#(String(repeating: unit, count: 100_000))"}"#).message ?? ""
        #expect((1000...1024).contains(message.utf8.count))
        #expect(message.hasSuffix("..."))
    }

    @Test(
        "UpstreamErrorResponse: a status that is no error is a bad gateway's",
        arguments: [0, 99, 200, 302, 399, 600, 999, -1])
    func noError(status: Int) throws {
        let envelope = try ReadEnvelope(status, #"{"error":{"code":"X"}}"#)
        #expect(envelope.status == 502)
        #expect(envelope.json["error"]?["type"]?.string == "server_error")
    }

    @Test("UpstreamErrorResponse: any bytes give an envelope")
    func anyBytes() throws {
        var random = SeededRandom(state: 1)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"error\":", "\"detail\":", "\"errors\":", "\"title\":", "\"message\":",
            "\"upstream\":", "\"details\":", "\"code\":", "\"type\":", "\"a\"", "1", "null", "\\u0000", "\u{301}", " ",
            "\"", "<html>",
        ]
        for round in 0..<3000 {
            var body: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<24, using: &random) {
                if round % 3 == 0 {
                    body.append(UInt8.random(in: 0...255, using: &random))
                } else {
                    body += Array((pieces.randomElement(using: &random) ?? "").utf8)
                }
            }
            let envelope = try ReadEnvelope(
                UpstreamErrorResponse(
                    status: Int.random(in: 400..<600, using: &random), contentType: "\u{0}\r\nx", body: body,
                    isTruncated: true),
                showsOriginalError: true)
            #expect(envelope.code?.isEmpty == false)
            #expect(envelope.message?.isEmpty == false)
            #expect(envelope.json["error"]?["details"]?["upstream"]?["body"] != nil)
        }
    }

    @Test("UpstreamErrorResponse: every cut and every changed byte of a body gives an envelope")
    func mutations() throws {
        let body = Array(
            #"{"detail":[{"loc":["body",1],"msg":"m"}],"title":"t","error":{"code":"A","details":{"x":1,"upstream":2}}}"#
                .utf8)
        func check(_ body: [UInt8]) throws {
            let error = UpstreamErrorResponse(status: 422, contentType: "", body: body)
            #expect(try ReadEnvelope(error).code?.isEmpty == false)
            #expect(try ReadEnvelope(error, showsOriginalError: true).json["error"]?["details"]?["upstream"] != nil)
        }
        for length in 0...body.count { try check(Array(body[..<length])) }
        for index in body.indices {
            for byte: UInt8 in [0, 0x22, 0x5B, 0x5D, 0x7B, 0x7D, 0x2C, 0x3A, 0x31, 0x80, 0xFF] {
                var changed = body
                changed[index] = byte
                try check(changed)
            }
        }
    }
}
