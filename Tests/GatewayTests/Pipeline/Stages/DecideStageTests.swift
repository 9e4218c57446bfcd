import Testing

@testable import Gateway

@Suite("Choosing the credential")
struct DecideStageTests {
    /// Runs belong to the organization of the token, so the upstream sees whose token counted.
    private static let run = "/v1/source-connections/conn_1/run"

    struct Row: Sendable, CustomTestStringConvertible {
        let authorization: String?
        let key: String?
        let outcome: String
        let status: Int

        init(_ authorization: String?, _ key: String?, _ outcome: String, _ status: Int = 401) {
            (self.authorization, self.key, self.outcome, self.status) = (authorization, key, outcome, status)
        }

        var fields: [String] {
            [authorization.map { "Authorization: \($0)" }, key.map { "x-api-key: \($0)" }].compactMap(\.self)
        }

        var testDescription: String { "\(fields) is \(outcome)" }
    }

    static let rows = [
        Row("Bearer token-a", nil, "org_a"), Row("bEARER token-a", nil, "org_a"),
        Row("Bearer   token-a  ", nil, "org_a"),
        Row(nil, "token-b", "org_b"), Row("Bearer token-a", "token-a", "org_a"), Row("Bearer token-a", "", "org_a"),
        Row("Bearer token-a", "token-old", "org_a"), Row("Bearer token-a", "token-b", "AMBIGUOUS_CREDENTIALS", 400),
        Row("Bearer token-a", "dummy", "org_a"), Row("Bearer token-a", "not a token", "org_a"),
        Row("Bearer wrong", "token-b", "org_b"), Row("Bearer token-old", "token-b", "org_b"),
        Row("Bearer ", "token-b", "org_b"), Row("Basic dXNlcg==", "token-b", "org_b"),
        Row("token-a", "token-b", "org_b"),
        Row(nil, nil, "AUTHENTICATION_REQUIRED"), Row(nil, "", "AUTHENTICATION_REQUIRED"),
        Row("Bearer wrong", nil, "TOKEN_INVALID"), Row("Bearer", nil, "TOKEN_INVALID"),
        Row("Bearer a b", nil, "TOKEN_INVALID"), Row("token-a", nil, "TOKEN_INVALID"),
        Row("Bearer token-a,token-b", nil, "TOKEN_INVALID"), Row("Bearer token-old", nil, "TOKEN_EXPIRED"),
        Row(nil, "wrong", "INVALID_API_KEY"), Row(nil, "not a token", "INVALID_API_KEY"),
        Row(nil, "token-old", "API_KEY_EXPIRED"), Row("Bearer wrong", "wrong", "TOKEN_INVALID"),
        Row("Bearer token-old", "wrong", "TOKEN_EXPIRED"), Row("Bearer wrong", "not a token", "TOKEN_INVALID"),
        Row("Bearer wrong", "token-old", "TOKEN_INVALID"),
        Row("Bearer \(String(repeating: "x", count: 5000))", nil, "TOKEN_INVALID"),
    ]

    @Test(
        "DecideStage: a valid bearer token wins, then a valid key; otherwise the error is that of the bearer token",
        arguments: rows)
    func precedence(row: Row) throws {
        let pipeline = try TestPipeline()
        let answer = try PlainClient(pipeline).call("POST", Self.run, row.fields)
        if row.outcome.hasPrefix("org_") {
            #expect(answer.status == 200, "\(answer.text)")
            #expect(pipeline.upstream.requests.map(\.organization) == [row.outcome])
            #expect(answer.fields("www-authenticate") == [])
        } else {
            #expect(answer.status == row.status)
            #expect(answer.code == row.outcome)
            #expect(pipeline.upstream.requests.isEmpty)
            let error = row.outcome == "AUTHENTICATION_REQUIRED" ? "" : #", error="invalid_token""#
            let challenge = row.status == 401 ? [#"Bearer realm="connectors""# + error] : []
            #expect(answer.fields("www-authenticate") == challenge)
        }
    }

    @Test("DecideStage: on one connection each request is judged by its own token")
    func cache() throws {
        let pipeline = try TestPipeline()
        let client = try PlainClient(pipeline)
        let tokens = ["token-a", "token-a", "token-b", "token-x", "token-a", "token", "token-aa", "token-b", "token-b"]
        for token in tokens {
            pipeline.upstream.answers(404)
            let answer = try client.call("POST", Self.run, ["Authorization: Bearer \(token)"])
            #expect(answer.status == (["token-a", "token-b"].contains(token) ? 404 : 401), "\(token)")
        }
        #expect(
            pipeline.upstream.requests.map(\.organization) == ["org_a", "org_a", "org_b", "org_a", "org_b", "org_b"])
    }

    @Test("DecideStage: two Authorization lines are refused")
    func repeated() throws {
        let pipeline = try TestPipeline()
        let answer = try PlainClient(pipeline)
            .call("POST", Self.run, ["Authorization: Bearer token-a", "Authorization: Bearer token-b"])
        #expect([400, 401].contains(answer.status), "\(answer.text)")
        #expect(pipeline.upstream.requests.isEmpty)
    }
}
