import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Who may do what")
    struct AccessTests {
        @Test(
            "Access: without a credential that counts there is 401 with a challenge",
            arguments: [
                (nil, nil, "AUTHENTICATION_REQUIRED", ""),
                ("Bearer wrong", nil, "TOKEN_INVALID", #", error="invalid_token""#),
                ("Bearer ", nil, "TOKEN_INVALID", #", error="invalid_token""#),
                ("Basic dXNlcjpwYXNz", nil, "TOKEN_INVALID", #", error="invalid_token""#),
                ("Bearer token-expired", nil, "TOKEN_EXPIRED", #", error="invalid_token""#),
                (nil, "wrong", "INVALID_API_KEY", #", error="invalid_token""#),
                (nil, "token-expired", "API_KEY_EXPIRED", #", error="invalid_token""#),
                (nil, "", "AUTHENTICATION_REQUIRED", ""),
                ("Bearer wrong", "wrong", "TOKEN_INVALID", #", error="invalid_token""#),
            ] as [(String?, String?, String, String)])
        func unauthenticated(authorization: String?, key: String?, code: String, challenge: String) async throws {
            try await withGateway { gateway in
                let answer = try gateway.call(authorization: authorization, key: key)
                try answer.expectError(401, code, closes: false)
                #expect(answer["www-authenticate"] == "Bearer realm=\"connectors\"\(challenge)")
            }
        }

        @Test(
            "Access: a token counts in either header, and a dummy beside it is ignored",
            arguments: [
                ("Bearer token-full", nil), ("bearer token-full", nil), (nil, "token-full"), ("Bearer token-full", ""),
                ("Bearer token-full", "dummy"), ("Bearer ", "token-full"), ("Bearer wrong", "token-full"),
            ] as [(String?, String?)])
        func accepted(authorization: String?, key: String?) async throws {
            try await withGateway { gateway in
                let answer = try gateway.call(authorization: authorization, key: key)
                #expect(answer.status == 200, "\(answer.text)")
            }
        }

        @Test("Access: a foreign organization is denied with 403, whether it exists or not")
        func foreignOrganization() async throws {
            try await withGateway { gateway in
                for organization in [TestPolicies.otherOrganization, "org_absent"] {
                    let path = Path.state.replacing(TestPolicies.organization, with: organization)
                    let answer = try gateway.curl(path)
                    try answer.expectError(403, "ORGANIZATION_ACCESS_DENIED")
                    #expect(try answer.json("error", "details", "organization_id")?.string == organization)
                    #expect(answer["www-authenticate"] == nil)
                }
            }
        }

        @Test("Access: a foreign connection looks exactly like one that does not exist")
        func foreignConnection() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                for (method, what, body) in [
                    ("GET", "state", nil), ("PATCH", "state", #"{"state":{}}"#),
                    ("POST", "refresh", #"{"streams":[]}"#),
                    ("POST", "clear", #"{"streams":[]}"#),
                ] as [(String, String, String?)] {
                    let answers = try [TestConnections.otherConnection, "conn_absent"].map { connection in
                        try client.call(method, "\(Path.base)/connections/\(connection)/\(what)", body: body)
                    }
                    try answers[0].expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND")
                    try expectSame(answers[0], answers[1])
                }
                let triggers = try [TestConnections.otherConnection, "conn_absent"].map { connection in
                    try client.call("POST", Path.jobs, body: trigger(connection: connection))
                }
                try triggers[0].expectError(404, "CONNECTOR_CONNECTION_NOT_FOUND")
                try expectSame(triggers[0], triggers[1])
            }
        }

        @Test("Access: a foreign job looks exactly like one that does not exist")
        func foreignJob() async throws {
            try await withGateway(.longJobs) { gateway in
                let client = try TLSClient(gateway)
                let otherJobs = Path.jobs.replacing(TestPolicies.organization, with: TestPolicies.otherOrganization)
                let body = trigger(connection: TestConnections.otherConnection)
                let started = try client.call("POST", otherJobs, token: .other, body: body)
                let job = try #require(try started.json("job_id")?.string)
                for method in ["GET", "DELETE"] {
                    let answers = try [job, "job_absent"].map { try client.call(method, "\(Path.jobs)/\($0)") }
                    try answers[0].expectError(404, "CONNECTOR_JOB_NOT_FOUND")
                    try expectSame(answers[0], answers[1])
                }
                let retries = try [job, "job_absent"].map { try client.call("POST", "\(Path.jobs)/\($0)/retry") }
                try expectSame(retries[0], retries[1])
                #expect(try client.call("GET", "\(otherJobs)/\(job)", token: .other).status == 200)
            }
        }

        @Test("Access: the refusal of a token without the scope names the scope")
        func scope() async throws {
            try await withGateway { gateway in
                let answer = try gateway.curl("POST", Path.jobs, json: trigger(), token: .reader)
                try answer.expectError(403, "INSUFFICIENT_PERMISSIONS")
                #expect(
                    answer["www-authenticate"]
                        == #"Bearer realm="connectors", error="insufficient_scope", scope="connectors:run""#)
                #expect(try answer.json("error", "details", "required_scope")?.string == "connectors:run")
                #expect(try gateway.curl(Path.state, token: .reader).status == 200)
            }
        }

        @Test("Access: a token of several organizations names one where the path does not")
        func severalOrganizations() async throws {
            try await withGateway { gateway in
                try gateway.curl(Path.run, "-X", "POST", token: .both)
                    .expectError(403, "AMBIGUOUS_ORGANIZATION", isAirweave: true)
                let header = "X-Organization-ID: \(TestPolicies.organization)"
                #expect(try gateway.curl(Path.run, "-X", "POST", "-H", header, token: .both).status == 200)
                try gateway.curl(Path.run, "-X", "POST", "-H", "X-Organization-ID: org_absent", token: .both)
                    .expectError(403, "ORGANIZATION_ACCESS_DENIED", isAirweave: true)
            }
        }

        @Test("Access: the response, its error and the log have the caller's trace; a malformed one is replaced")
        func trace() async throws {
            try await withGateway { gateway in
                let id = "4bf92f3577b34da6a3ce929d0e0e4736"
                let good = "traceparent: 00-\(id)-00f067aa0ba902b7-01"
                #expect(try gateway.curl(Path.state, "-H", good)["x-trace-id"] == id)
                let refused = try gateway.curl(Path.state, "-H", good, token: nil)
                try refused.expectError(401, "AUTHENTICATION_REQUIRED")
                #expect(refused["x-trace-id"] == id)
                let answer = try gateway.curl(Path.state, "-H", "traceparent: 00-\(id)-0000000000000000-01")
                #expect(answer["x-trace-id"]?.count == 32 && answer["x-trace-id"] != id)
                try waitUntil("three lines are logged") { gateway.log.split(separator: "\n").count >= 3 }
                let lines = gateway.log.split(separator: "\n")
                #expect(lines.count { $0.contains(id) } == 2)
                #expect(!gateway.log.contains(TestPolicies.Token.full.text), "no secret may be logged")
            }
        }
    }
}

/// Checks that two answers differ in nothing but the trace and the time.
private func expectSame(_ one: Answer, _ other: Answer, sourceLocation: SourceLocation = #_sourceLocation) throws {
    func masked(_ answer: Answer) throws -> String {
        var text = answer.text
        for name in ["trace_id", "timestamp"] {
            text = text.replacing(try answer.json("error", name)?.string ?? "?", with: "")
        }
        let fields = answer.fields.filter {
            !["x-trace-id", "date", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit"].contains($0.name)
        }
        return "\(answer.status)\n\(fields.map { "\($0.name): \($0.value)" }.joined(separator: "\n"))\n\(text)"
    }
    let (first, second) = (try masked(one), try masked(other))
    #expect(first == second, sourceLocation: sourceLocation)
}

extension TestGateway {
    /// Reads the state with these two headers.
    fileprivate func call(authorization: String?, key: String?) throws -> Answer {
        var fields: [String] = []
        if let key { fields.append("x-api-key: \(key)") }
        if let authorization { fields.append("Authorization: \(authorization)") }
        let client = try TLSClient(self)
        try client.send(
            (["GET \(Path.state) HTTP/1.1", "Host: localhost"] + fields).joined(separator: "\r\n") + "\r\n\r\n")
        return try client.answer()
    }
}
