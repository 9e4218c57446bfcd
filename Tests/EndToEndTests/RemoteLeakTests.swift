import Foundation
import Gateway
import TestSupport
import Testing

extension EndToEnd {
    /// What many exchanges leave behind.
    @Suite("Leaks after exchanges with a remote upstream")
    struct RemoteLeakTests {
        /// The ways in which an exchange ends.
        private static let endings: [String?] = [
            nil, answer(), answer(503), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", answer(200, "Connection: close"),
            answer() + answer(), "HTTP/1.1 103 Hints\r\n\r\n" + answer(413), "HTTP/1.1 200 OK\r\n\r\nabc",
        ]

        private var openDescriptors: Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        }

        @Test(
            "Remote upstream, leaks: after exchanges that ended in every way no descriptor is open and no permit is taken"
        )
        func descriptors() async throws {
            let settings = #"""
                connections: { inFlight: 3, queue: 0 }, breaker: { consecutiveFailures: 10000 }, timeouts: { idle: "100ms" },
                """#
            try await withRawUpstream(settings) { gateway, upstream in
                upstream.answer { request in
                    let number = request.target.split(separator: "/").dropLast().last.flatMap { Int($0) } ?? 1
                    return Self.endings[number]
                }
                let before = openDescriptors
                for round in 0..<20 {
                    for number in Self.endings.indices {
                        for method in ["GET", "POST"] {
                            let client = try TLSClient(gateway)
                            let body = method == "POST" ? "{}" : nil
                            try client.send(request(method, "\(Path.base)/x/\(number)/last", body: body))
                            // Some do not wait for what comes.
                            if round % 4 != 0 { _ = try client.text(upTo: "\r\n\r\n") }
                        }
                    }
                }
                try waitUntil("everything is closed") {
                    openDescriptors <= before && gateway.server.openConnections == 0
                }
                // Both places that one organization can have are there.
                let clients = [try TLSClient(gateway), try TLSClient(gateway)]
                for client in clients { try client.send(request("GET", Path.state)) }
                for client in clients { #expect(try client.answer().status == 200) }
            }
        }
    }
}
