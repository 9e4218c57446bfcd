import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Confirmations of destructive requests")
    struct ConfirmationTests {
        /// Triggers of a reset, and clears, need a second step.
        private static func setup(resends: Bool = false) -> GatewaySetup {
            var setup = GatewaySetup(hasResendWindow: resends)
            setup.changesRoutes = { text in
                text.replacing(#"lease: "clear","#, with: #"lease: "clear", confirm: "two-step","#)
                    .replacing(
                        #"lease: "sync","#,
                        with: #"lease: "sync", confirm: { when: { job_type: "reset", jobType: "reset" } },"#
                    )
                    .replacing(
                        #"lease: "refresh","#,
                        with: #"lease: "refresh", confirm: { when: { remove_records: true, removeRecords: true } },"#)
            }
            setup.limits = """
                starts: { on: ["trigger", "clear", "refresh"], per: "organization", allow: "4/day" },
                """
            return setup
        }

        private static let field = "X-Gateway-Confirmation"

        private func call(
            _ client: TLSClient, _ path: String, _ body: String, confirmation: String? = nil,
            token: TestPolicies.Token = .full
        ) throws -> Answer {
            let field = confirmation.map { "\(Self.field): \($0)" } ?? "Accept: */*"
            try client.send(request("POST", path, field, token: token, body: body))
            return try client.answer()
        }

        private func offer(_ answer: Answer) throws -> String {
            try answer.expectError(409, "CONFIRMATION_REQUIRED")
            #expect(answer["retry-after"] == nil)
            return try #require(answer.json("error", "details", "confirmation", "token")?.string)
        }

        @Test("Confirmations: the first answer shows what would be erased; the second request erases it, once")
        func twoSteps() async throws {
            try await withGateway(Self.setup()) { gateway in
                let client = try TLSClient(gateway)
                let body = #"{"streams":["users"]}"#
                let first = try call(client, Path.clear, body)
                let token = try offer(first)
                let details = try first.json("error", "details")
                #expect(details?["connection_id"]?.string == TestConnections.connection)
                #expect(details?["operation"]?.string == "connections.clear")
                #expect(details?["remove_records"]?.isNull == true)
                #expect(details?["confirmation"]?["field"]?.string == Self.field)
                #expect(details?["confirmation"]?["expires_in"]?.integer == 300)
                // The order of members and white space do not matter, but the meaning does.
                #expect(try call(client, Path.clear, #"{ "streams": ["users"] }"#, confirmation: token).status == 200)
                let again = try call(client, Path.clear, body, confirmation: token)
                #expect([400, 409].contains(again.status))
                try waitUntil("the connection is free") {
                    try call(client, Path.clear, body, confirmation: token).status == 400
                }
                let used = try call(client, Path.clear, body, confirmation: token)
                try used.expectError(400, "CONFIRMATION_INVALID")
                #expect(try used.json("error", "details", "reason")?.string == "used")
                #expect(!gateway.log.contains(token), "no secret may be logged")
            }
        }

        @Test("Confirmations: nothing is erased or charged without one, nor with a wrong one")
        func wrong() async throws {
            try await withGateway(Self.setup()) { gateway in
                let client = try TLSClient(gateway)
                let body = #"{"streams":["users"]}"#
                let token = try offer(try call(client, Path.clear, body))
                let forged = String(token.dropLast()) + (token.last == "0" ? "1" : "0")
                let other = token.replacingCharacter(at: 0)
                for (text, body, caller, reason) in [
                    ("", body, .full, "malformed"), ("yes", body, .full, "malformed"),
                    (String(repeating: "f", count: 4000), body, .full, "malformed"),
                    (forged, body, .full, "another_request"), (other, body, .full, "another_gateway"),
                    (token, #"{"streams":["users","orders"]}"#, .full, "another_request"),
                    (token, #"{"streams":[]}"#, .full, "another_request"), (token, body, .both, "another_request"),
                ] as [(String, String, TestPolicies.Token, String)] {
                    let answer = try call(client, Path.clear, body, confirmation: text, token: caller)
                    try answer.expectError(400, "CONFIRMATION_INVALID")
                    #expect(try answer.json("error", "details", "reason")?.string == reason)
                }
                // That of another connection, and that of another route.
                let source = Path.clear.replacing(TestConnections.connection, with: TestConnections.sourceConnection)
                try call(client, source, body, confirmation: token).expectError(400, "CONFIRMATION_INVALID")
                let refresh = #"{"streams":["users"],"remove_records":true}"#
                let refreshToken = try offer(try call(client, Path.refresh, refresh))
                try call(client, Path.clear, refresh, confirmation: refreshToken)
                    .expectError(400, "CONFIRMATION_INVALID")
                try client.send(
                    request("POST", Path.clear, "\(Self.field): \(token)", "\(Self.field): \(token)", body: body))
                try client.answer().expectError(400, "CONFIRMATION_INVALID")
                // None of it was charged: all four units are left.
                let last = try call(client, Path.clear, body, confirmation: token)
                #expect(last.status == 200 && last["x-ratelimit-remaining"] == "3", "\(last.text)")
            }
        }

        @Test("Confirmations: a condition decides by the body, however it is spelled")
        func conditions() async throws {
            try await withGateway(Self.setup()) { gateway in
                let client = try TLSClient(gateway)
                for body in [
                    #"{"streams":["users"],"remove_records":true}"#, #"{"streams":["users"],"removeRecords":"true"}"#,
                    #"{"streams":["users"],"remove_records":1}"#,
                ] { _ = try offer(try call(client, Path.refresh, body)) }
                let first = try call(client, Path.refresh, #"{"streams":["users"],"remove_records":true}"#)
                #expect(try first.json("error", "details", "remove_records")?.bool == true)
                for type in ["reset", "RESET"] { _ = try offer(try call(client, Path.jobs, trigger(type))) }
                for body in [
                    #"{"streams":["users"],"Remove_Records":true}"#, #"{"streams":["users"],"remove-records":true}"#,
                ] { try call(client, Path.refresh, body).expectError(422, "VALIDATION_ERROR") }
                try call(client, Path.refresh + "?remove_records=true", #"{"streams":["users"]}"#)
                    .expectError(422, "VALIDATION_ERROR")
                try call(client, Path.refresh, "{").expectError(400, "INVALID_JSON")
                #expect(try call(client, Path.refresh, #"{"streams":["users"],"remove_records":false}"#).status == 200)
            }
        }

        @Test("Confirmations: a conflict does not use one up, and a request that is sent twice finds its own job")
        func resends() async throws {
            var setup = Self.setup(resends: true)
            setup.jobMilliseconds = GatewaySetup.longJobs.jobMilliseconds
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                let running = try client.startJob()
                let body = #"{"streams":["users"]}"#
                let token = try offer(try call(client, Path.clear, body))
                try call(client, Path.clear, body, confirmation: token).expectConflict(with: running)
                try client.cancel(running)
                #expect(try call(client, Path.clear, body, confirmation: token).status == 200)
                let again = try call(client, Path.clear, body, confirmation: token)
                #expect(again.status == 200 && again["x-gateway-outcome"] == "deduplicated", "\(again.text)")
            }
        }
    }
}

extension String {
    /// With another hexadecimal digit at this place.
    fileprivate func replacingCharacter(at offset: Int) -> String {
        var text = self
        let index = text.index(text.startIndex, offsetBy: offset)
        text.replaceSubrange(index...index, with: text[index] == "0" ? "1" : "0")
        return text
    }
}
