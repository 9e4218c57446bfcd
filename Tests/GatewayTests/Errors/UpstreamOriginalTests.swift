import JSON
import Testing

@testable import Gateway
@testable import Policy

@Suite("The original of an upstream's error")
struct UpstreamOriginalTests {
    @Test("UpstreamErrorResponse, original: it is shown only if the policies allow it, and a rule overrides them")
    func isAllowed() throws {
        func rule(_ shows: Bool?) -> [ErrorRule] {
            let none = ErrorRule.Replacement(status: nil, code: nil, message: nil, retryAfterSeconds: nil)
            return [ErrorRule(name: "r", statuses: 400...599, replacement: none, showsOriginalError: shows)]
        }
        for (rules, standard, isShown) in [
            ([], false, false), ([], true, true), (rule(nil), false, false), (rule(nil), true, true),
            (rule(true), false, true), (rule(false), true, false),
        ] {
            let envelope = try ReadEnvelope(500, "<p>", type: "text/html", rules: rules, showsOriginalError: standard)
            #expect(
                envelope.details
                    == (isShown ? #"{"upstream":{"status":500,"content_type":"text/html","body":"<p>"}}"# : "{}"))
        }
    }

    @Test("UpstreamErrorResponse, original: JSON stays JSON, beside the details the upstream sent")
    func json() throws {
        let body = #"{"error":{"code":"X","details":{"a":1,"upstream":"theirs"}}}"#
        #expect(
            try ReadEnvelope(404, body, showsOriginalError: true).details
                == #"{"a":1,"upstream":{"status":404,"content_type":"application/json","body":\#(body)}}"#)
        #expect(
            try ReadEnvelope(404, "[1.50]", type: "", showsOriginalError: true).details
                == #"{"upstream":{"status":404,"content_type":null,"body":[1.50]}}"#)
        #expect(
            try ReadEnvelope(404, "", type: "", showsOriginalError: true).details
                == #"{"upstream":{"status":404,"content_type":null,"body":""}}"#)
    }

    @Test(
        "UpstreamErrorResponse, original: what is longer than 8 KiB is cut between characters",
        arguments: ["x", "\u{e9}", "\u{20ac}", "\u{1F600}"])
    func long(unit: String) throws {
        let text = "x" + String(repeating: unit, count: 9000)
        for body in [text, "[\"\(text)\"]"] {
            let upstream = try ReadEnvelope(500, body, showsOriginalError: true).json["error"]?["details"]?["upstream"]
            let shown = try #require(upstream?["body"]?.string)
            #expect((8189...8192).contains(shown.utf8.count))
            #expect(body.hasPrefix(shown))
            #expect(upstream?["truncated"]?.bool == true)
        }
    }

    @Test("UpstreamErrorResponse, original: bytes that are no text do not grow")
    func binary() throws {
        let error = UpstreamErrorResponse(
            status: 500, contentType: "a/b", body: [UInt8](repeating: 0xFF, count: 9000), isTruncated: false)
        let shown = try ReadEnvelope(error, showsOriginalError: true).json["error"]?["details"]?["upstream"]?["body"]?
            .string
        #expect((8189...8192).contains(shown?.utf8.count ?? 0))
    }

    @Test("UpstreamErrorResponse, original: a body that did not end is said to be cut")
    func cut() throws {
        let error = UpstreamErrorResponse(status: 500, contentType: "", body: Array("{\"a".utf8), isTruncated: true)
        #expect(
            try ReadEnvelope(error, showsOriginalError: true).details
                == #"{"upstream":{"status":500,"content_type":null,"body":"{\"a","truncated":true}}"#)
    }
}
