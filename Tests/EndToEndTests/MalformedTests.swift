import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Malformed requests")
    struct MalformedTests {
        private static let line = "POST \(Path.jobs) HTTP/1.1\r\n"
        private static let head = "\(line)Host: localhost\r\nAuthorization: Bearer token-full\r\n"

        /// Each is followed by a request that must not be answered.
        static let smuggling: [(name: String, bytes: String, status: Int)] = [
            ("length and coding", head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("coding and length", head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
            ("differing lengths", head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
            ("a list of lengths", head + "Content-Length: 3, 4\r\n\r\nabcd", 400),
            ("a signed length", head + "Content-Length: +3\r\n\r\nabc", 400),
            ("a length in hexadecimal", head + "Content-Length: 0x3\r\n\r\nabc", 400),
            ("a length beyond all bounds", head + "Content-Length: 99999999999999999999\r\n\r\n", 400),
            ("chunked not last", head + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
            ("chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("a coding nobody knows", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
            ("a coding before chunked", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            ("a space before the colon", head + "Content-Length : 3\r\n\r\nabc", 400),
            ("a folded line", head + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400),
            ("a bare line feed", head + "X: a\nContent-Length: 0\r\n\r\n", 400),
            ("a bare line feed at the end", head + "Content-Length: 0\r\n\n", 400),
            ("a bare carriage return", head + "X: a\rContent-Length: 0\r\n\r\n", 400),
            ("a NUL", head + "X: a\0b\r\nContent-Length: 0\r\n\r\n", 400),
            ("no host", "\(line)Authorization: Bearer token-full\r\n\r\n", 400),
            ("two hosts", head + "Host: other\r\n\r\n", 400),
            ("a chunk size that is none", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
            ("a chunk size beyond all bounds", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
            ("a chunk longer than its size", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400),
            ("a chunk that ends with a line feed", head + "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n", 400),
            ("an unknown method", "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
            ("HTTP/2 in words", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
            ("a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("coding in HTTP/1.0", "POST \(Path.jobs) HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("a line of garbage", "\u{1}\u{2}\u{3}\r\n\r\n", 400),
        ]

        @Test(
            "Malformed requests: an ambiguous request gets one error, and ends the connection",
            arguments: 0..<smuggling.count)
        func smuggled(index: Int) async throws {
            let (name, bytes, status) = Self.smuggling[index]
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                // A good request before it is served as ever.
                #expect(try client.call("GET", Path.state).status == 200)
                try client.send(bytes + request("GET", Path.jobs))
                let answer = try client.answer()
                #expect(answer.status == status, "\(name): \(answer.text)")
                try answer.expectError(answer.status, answer.json("error", "code")?.string ?? "", closes: true)
                try client.expectEnd()
                #expect(try TLSClient(gateway).call("GET", Path.jobs).json("total")?.integer == 0)
            }
        }

        @Test("Malformed requests: each part that is too long has its own status, and ends the connection")
        func tooLong() async throws {
            try await withGateway { gateway in
                let long = String(repeating: "x", count: 70_000)
                for (bytes, status, code) in [
                    (request("GET", "\(Path.state)?\(long)"), 414, "URI_TOO_LONG"),
                    (request("GET", Path.state, "X: \(long)"), 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
                    (
                        "GET \(Path.state) HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 200), 431,
                        "REQUEST_HEADER_FIELDS_TOO_LARGE"
                    ),
                    (request("POST", Path.jobs, "Content-Length: 100000000"), 413, "PAYLOAD_TOO_LARGE"),
                ] {
                    let client = try TLSClient(gateway)
                    try client.send(bytes)
                    try client.answer().expectError(status, code, closes: true)
                    try client.expectEnd()
                }
            }
        }

        @Test(
            "Malformed requests: an ambiguous path is refused, and the connection stays open",
            arguments: ["/../state", "//state", "/%2e%2e/state", "/conn%2Fabc/state", "/./state", "/a\\b/state"])
        func ambiguousPath(path: String) async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                let answer = try client.call("GET", "\(Path.base)/connections\(path)")
                #expect([400, 404].contains(answer.status), "\(answer.text)")
                #expect(answer["content-type"] == "application/json")
            }
        }

        @Test("Malformed requests: a head that does not come to its end gets 408")
        func slowHead() async throws {
            var setup = GatewaySetup()
            setup.settings = #"timeouts: { head: "1s", bodyProgress: "1s" }"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                try client.send("GET \(Path.state) HTTP/1.1\r\nHost: ")
                try client.answer().expectError(408, "REQUEST_TIMEOUT", closes: true)
                try client.expectEnd()
            }
        }

        @Test("Malformed requests: a body that does not come to its end gets 408, and nothing is started")
        func slowBody() async throws {
            var setup = GatewaySetup()
            setup.settings = #"timeouts: { bodyProgress: "1s" }"#
            try await withGateway(setup) { gateway in
                let client = try TLSClient(gateway)
                try client.send(String(request("POST", Path.jobs, body: trigger()).dropLast(5)))
                try client.answer().expectError(408, "REQUEST_TIMEOUT", closes: true)
                try client.expectEnd()
                #expect(try TLSClient(gateway).call("GET", Path.jobs).json("total")?.integer == 0)
            }
        }

        @Test("Malformed requests: plain HTTP on the TLS port gets its error in plain HTTP")
        func plainHTTP() async throws {
            try await withGateway { gateway in
                let outcome = try Tool.run(
                    "curl", ["-sS", "-m", "10", "-i", "http://localhost:\(gateway.port)\(Path.state)"])
                let parts = outcome.text.components(separatedBy: "\r\n\r\n")
                var answer = try Answer(head: parts[0])
                answer.body = Array(parts.dropFirst().joined().utf8)
                try answer.expectError(400, "TLS_REQUIRED", closes: true)
                #expect(try gateway.curl(Path.state).status == 200)
            }
        }

        @Test("Malformed requests: openssl s_client meets TLS 1.3 and 1.2, http/1.1 by ALPN, and nothing older")
        func versions() async throws {
            try await withGateway { gateway in
                func connect(_ options: String...) throws -> Tool.Outcome {
                    try Tool.run(
                        "openssl",
                        [
                            "s_client", "-connect", "127.0.0.1:\(gateway.port)", "-CAfile",
                            gateway.folder.authorityFile,
                            "-verify_return_error", "-ign_eof", "-alpn", "h2,http/1.1",
                        ] + options,
                        input: request("GET", Path.state, "Connection: close"))
                }
                for option in ["-tls1_3", "-tls1_2"] {
                    let outcome = try connect(option)
                    #expect(outcome.text.contains("HTTP/1.1 200 OK"), "\(outcome.text)")
                    #expect(outcome.text.contains("ALPN protocol: http/1.1"))
                    #expect(outcome.text.contains("Verify return code: 0 (ok)"))
                }
                let old = try connect("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
                #expect(!old.text.contains("HTTP/1.1"))
            }
        }
    }
}
