import Testing

@testable import Gateway
@testable import Policy

@Suite("Rules for errors of upstreams")
struct ErrorRuleTests {
    private static func rule(
        _ name: String = "r", _ statuses: ClosedRange<Int> = 400...599, field: [String]? = nil, pattern: String? = nil,
        status: Int? = nil, code: String? = nil, message: String? = nil, retry: Int? = nil
    ) -> ErrorRule {
        ErrorRule(
            name: name, statuses: statuses, field: field, pattern: pattern,
            replacement: .init(status: status, code: code, message: message, retryAfterSeconds: retry))
    }

    private func read(
        _ status: Int, _ body: String, _ rules: [ErrorRule], fields: [(name: String, value: String)] = []
    ) -> ErrorResponse {
        let error = UpstreamErrorResponse(
            status: status, contentType: "application/json", body: Array(body.utf8), fields: fields)
        return NormalizedError(error, rules: rules, showsOriginalError: false, epochSeconds: 0).response
    }

    private static let running = rule(
        "running", 400...400, field: ["detail"], pattern: "*already running*", status: 409,
        code: "CONNECTOR_JOB_ALREADY_RUNNING", retry: 5)
    private static let body = #"{"detail":"Cannot start new sync: a sync job is Already Running"}"#

    @Test("ErrorRule: a rule turns Airweave's 400 into the documented 409, with the upstream's message")
    func airweave() {
        let response = read(400, Self.body, [Self.running])
        #expect(response.status == 409)
        #expect(response.code == "CONNECTOR_JOB_ALREADY_RUNNING")
        #expect(response.message == "Cannot start new sync: a sync job is Already Running")
        #expect(response.retryAfterSeconds == 5)
        #expect(response.receivedStatus == 400)
        // Another status, another text, no such member.
        #expect(read(409, Self.body, [Self.running]).code == "CONFLICT")
        #expect(read(400, #"{"detail":"Organization context required"}"#, [Self.running]).status == 400)
        #expect(read(400, #"{"details":"already running"}"#, [Self.running]).status == 400)
        #expect(read(400, "already running", [Self.running]).status == 400)
    }

    @Test("ErrorRule: the first rule that matches decides, and what it does not say is kept or the catalogue's")
    func order() {
        let rules = [
            Self.rule("a", 500...500, code: "NEVER"), Self.rule("b", status: 404), Self.rule("c", code: "LATER"),
        ]
        let kept = read(400, #"{"error":{"code":"OWN","message":"own"}}"#, rules)
        #expect(kept.status == 404 && kept.code == "OWN" && kept.message == "own")
        let plain = read(400, "<html>", rules)
        #expect(plain.status == 404 && plain.code == "NOT_FOUND" && plain.message == ErrorCode.notFound.entry.message)
        let words = read(400, #"{"message":"own"}"#, [Self.rule(code: "C", message: "M")])
        #expect(words.status == 400 && words.code == "C" && words.message == "M")
        // A set of policies that was checked has no such rule.
        #expect(read(400, "", [Self.rule(status: 200)]).status == 502)
    }

    @Test("ErrorRule: the upstream's own Retry-After wins over the rule's")
    func retryAfter() {
        #expect(read(400, Self.body, [Self.running], fields: [("Retry-After", "9")]).retryAfterSeconds == 9)
        #expect(read(400, Self.body, [Self.running], fields: [("Retry-After", "soon")]).retryAfterSeconds == 5)
        #expect(read(429, "", [Self.rule(retry: 30)], fields: [("RateLimit-Reset", "4")]).retryAfterSeconds == 4)
        #expect(read(429, "", [Self.rule(retry: 30)]).retryAfterSeconds == 30)
        #expect(read(429, "", []).retryAfterSeconds == 1)
        #expect(read(503, "", []).retryAfterSeconds == 2)
        #expect(read(500, "", []).retryAfterSeconds == nil)
        #expect(read(500, "", [], fields: [("RateLimit-Reset", "4")]).retryAfterSeconds == nil)
        #expect(read(400, "", [Self.rule(status: 429)]).retryAfterSeconds == 1)
    }

    @Test(
        "ErrorRule: a rule looks at the field that it names",
        arguments: [
            (["error", "code"], "E_*", #"{"error":{"code":"e_17"}}"#, true),
            (["error", "code"], "17", #"{"error":{"code":17}}"#, true),
            (["retry"], "true", #"{"retry":true}"#, true),
            (["error", "code"], "*", #"{"error":{"code":null}}"#, false),
            (["error", "code"], "*", #"{"error":["code"]}"#, false),
            (["error"], "*", #"{"error":{}}"#, false),
            (["error"], nil, #"{"error":"x"}"#, true),
            (["error"], nil, #"{"detail":"x"}"#, false),
            ([], "*maintenance*", "<h1>Maintenance</h1>", true),
            ([], "", "", true),
            ([], "", "x", false),
            ([], nil, "", true),
            (nil, nil, "", true),
        ] as [([String]?, String?, String, Bool)])
    func fields(field: [String]?, pattern: String?, body: String, matches: Bool) {
        let response = read(400, body, [Self.rule(field: field, pattern: pattern, code: "HIT")])
        #expect((response.code == "HIT") == matches)
    }

    @Test(
        "ErrorRule: a pattern is the whole text, and a star any part of it",
        arguments: [
            ("", "", true), ("", "a", false), ("*", "", true), ("*", "a\nb", true), ("a", "A", true),
            ("a", "ab", false),
            ("a*", "ab", true), ("a*", "ba", false), ("*a", "ba", true), ("*a", "ab", false), ("a*c", "abbc", true),
            ("a*b*c", "a1b2b3c", true), ("a*b*c", "acb", false), ("**a**", "xax", true), ("*ab*ab*", "aab", false),
            ("a?c", "abc", false), ("\u{c9}", "\u{e9}", false), ("*\u{e9}", "x\u{e9}", true),
        ])
    func patterns(pattern: String, text: String, matches: Bool) {
        #expect(Self.rule(field: [], pattern: pattern).matches(status: 400, text: text) == matches)
    }

    @Test("ErrorRule: a 401 is the fault of the side whose credential was sent")
    func credentials() {
        let secret = UpstreamSettings.Credential.secret(.init(header: "Authorization", file: "f"))
        for (status, credential, isOurs) in [
            (401, .pass, false), (401, .strip, true), (401, secret, true), (403, .pass, false), (403, secret, false),
            (407, .pass, true), (407, .strip, true), (407, secret, true), (404, secret, false), (500, secret, false),
        ] as [(Int, UpstreamSettings.Credential, Bool)] {
            let failure = UpstreamFailure.unauthenticated(status: status, credential: credential)
            #expect(failure == (isOurs ? .credentialRefused : nil))
        }
    }
}
