import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// A gateway behind a gateway, which is an upstream that speaks TLS.
    @Suite("A remote upstream over TLS")
    struct RemoteTLSTests {
        /// Gives the test a client of the first of two gateways; the second has the connector service in it.
        private func withTwo(
            trusts: Bool = true, _ body: (TLSClient, TestGateway) async throws -> Void
        ) async throws {
            var inner = GatewaySetup.longJobs
            inner.settings = #"sizes: { body: "64MiB" },"#
            try await withGateway(inner) { upstream in
                var outer = GatewaySetup()
                outer.workers = 1
                outer.settings = inner.settings
                try await withTestFolder { folder in
                    let stranger = try LocalCertificate()
                    try stranger.write(to: folder, withAuthority: true)
                    let authority = trusts ? upstream.folder.authorityFile : folder.policies + "/tls/ca.pem"
                    outer.upstream = #"""
                        url: "https://127.0.0.1:\#(upstream.port)", tls: { authorities: "\#(authority)" },
                        """#
                    try await withGateway(outer) { try await body(try TLSClient($0), upstream) }
                }
            }
        }

        @Test("Upstream over TLS: a large upload over a connection that has just been made arrives whole")
        func upload() async throws {
            try await withTwo { client, upstream in
                let size = 4 << 20
                let path = Path.base + "/uploads"
                for count in 1...3 {
                    try client.send(request("POST", path, "Content-Length: \(size)"))
                    let sender = Sender(client, [UInt8](repeating: 7, count: size))
                    let received = try sender.finish().answer()
                    #expect(received.status == 404, "\(received.text)")
                    try waitUntil("the upstream has read every byte") {
                        let lines = upstream.log.split(separator: "\n").map { Array($0.utf8) }
                        let bytes = try lines.compactMap { try JSONValue.read($0.span)["bytes_in"]?.integer }
                        return bytes.count { $0 >= size } == count
                    }
                }
            }
        }

        @Test("Upstream over TLS: a job that runs behind two gateways holds its connection at the first")
        func job() async throws {
            try await withTwo { client, _ in
                let job = try client.startJob()
                let conflict = try client.call("POST", Path.jobs, body: trigger())
                try conflict.expectError(409, "CONNECTOR_JOB_ALREADY_RUNNING")
                #expect(try conflict.json("error", "details", "active_job", "id")?.string == job)
                try client.cancel(job)
                try waitUntil("the connection is free") {
                    try client.call("POST", Path.jobs, body: trigger()).status == 200
                }
            }
        }

        @Test("Upstream over TLS: an upstream with a certificate of another authority gets no request")
        func stranger() async throws {
            try await withTwo(trusts: false) { client, upstream in
                let refused = try client.call("GET", Path.state)
                try refused.expectError(502, "BAD_GATEWAY")
                #expect(refused["proxy-status"]?.contains("tls_certificate_error") == true)
                #expect(upstream.log == "")
            }
        }
    }
}
