import Connectors
import JSON
import Testing

extension EndToEnd {
    @Suite("The connector service alone: organization and trace")
    struct ConnectorOrganizationTests {
        private static let field = "X-Gateway-Organization: \(TestPolicies.organization)"
        private static let otherField = "x-gateway-ORGANIZATION:\(TestPolicies.otherOrganization)"
        private static let sources = "/v1/source-connections"

        @Test(
            "ConnectorServer, organization: the organization is the one that the gateway names",
            arguments: [field, field.lowercased()])
        func named(field: String) async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                for path in [Path.state, Path.jobs, Self.sources] {
                    try client.send(request("GET", path, field))
                    let answer = try client.answer()
                    #expect(answer.status == 200, "\(answer.text)")
                }
                try client.send(request("GET", Self.sources, field))
                let id = try client.answer().json.array?.first?["id"]?.string
                #expect(id == TestConnections.sourceConnection)
                try client.send(request("POST", Path.run, field))
                #expect(try client.answer().json("source_connection_id")?.string == TestConnections.sourceConnection)
            }
        }

        @Test(
            "ConnectorServer, organization: another organization than the path's gets the response of a missing connection"
        )
        func differing() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                for (method, path) in [
                    ("GET", Path.state), ("GET", Path.jobs), ("HEAD", Path.state), ("POST", Path.jobs),
                    ("PATCH", Path.state), ("POST", Path.run),
                ] {
                    let body = ["POST", "PATCH"].contains(method) && path != Path.run ? trigger() : nil
                    try client.send(request(method, path, Self.otherField, body: body))
                    let answer = try client.answer(hasBody: method != "HEAD")
                    #expect(answer.status == 404)
                    guard method != "HEAD" else { continue }
                    try answer.expectError(
                        404, "CONNECTOR_CONNECTION_NOT_FOUND", isAirweave: path == Path.run, closes: false,
                        isGateway: false)
                }
                try client.send(request("GET", Self.sources, Self.otherField))
                #expect(try client.answer().text == "[]")
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 0)
            }
        }

        @Test(
            "ConnectorServer, organization: without a gateway the organization of the path counts, and a request without one is refused"
        )
        func absent() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                #expect(try client.call("GET", Path.state).status == 200)
                for (method, path) in [("GET", Self.sources), ("POST", Path.run), ("POST", "\(Path.run)/")] {
                    try client.call(method, path)
                        .expectError(400, "ORGANIZATION_REQUIRED", isAirweave: true, closes: false, isGateway: false)
                }
                try client.call("GET", "/v1/nowhere").expectError(404, "NOT_FOUND", isGateway: false)
            }
        }

        @Test(
            "ConnectorServer, organization: an empty or repeated field is refused, whatever the path says",
            arguments: [
                ["X-Gateway-Organization:"], ["X-Gateway-Organization: \t "], [field, field], [field, otherField],
            ], [("GET", Path.state), ("POST", Path.run)])
        func doubtful(fields: [String], call: (method: String, path: String)) async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                try client.send(
                    "\(call.method) \(call.path) HTTP/1.1\r\nHost: a\r\n\(fields.joined(separator: "\r\n"))\r\n\r\n")
                let answer = try client.answer()
                try answer.expectError(
                    400, "INVALID_IDENTIFIER", isAirweave: call.path == Path.run, closes: false, isGateway: false)
                #expect(try answer.json("error", "details", "field")?.string == "X-Gateway-Organization")
                #expect(try client.call("GET", Path.jobs).json("total")?.integer == 0)
            }
        }

        @Test("ConnectorServer, organization: errors carry the trace of the request, or one of their own")
        func trace() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                let id = "0af7651916cd43dd8448eb211c80319c"
                func traceID(_ field: String) throws -> String? {
                    try client.send(request("GET", "\(Path.jobs)/job_absent", field))
                    let answer = try client.answer()
                    try answer.expectError(404, "CONNECTOR_JOB_NOT_FOUND", isGateway: false)
                    return try answer.json("error", "trace_id")?.string
                }
                #expect(try traceID("traceparent: 00-\(id)-b7ad6b7169203331-01") == id)
                let own = try [
                    "X-Other: a", "traceparent: 00-\(id)-0000000000000000-01", "traceparent: nonsense",
                ].map(traceID)
                #expect(Set(own).count == 3 && !own.contains(id))
            }
        }

        @Test("ConnectorServer, organization: the health probe is answered, and hides nothing of the service")
        func health() async throws {
            try await withConnectors { connectors in
                let client = try PlainClient(port: connectors.port)
                for path in ["/healthz", "/healthz?from=gateway"] {
                    let answer = try client.call("GET", path)
                    #expect(answer.status == 200 && answer.text == #"{"status":"ok"}"#)
                    #expect(answer["content-type"] == "application/json")
                    let head = try client.call("HEAD", path)
                    #expect(head.status == 200 && head["content-length"] == "15")
                }
                try client.call("POST", "/healthz").expectError(404, "NOT_FOUND", isGateway: false)
                let hidden = connectors.service.respond(
                    to: ConnectorRequest(
                        method: "GET", target: Array("/healthz".utf8), organization: TestPolicies.organization,
                        body: [],
                        traceID: ""))
                #expect(hidden?.status == 404)
            }
        }
    }
}
