import Gateway
import Glibc
import JSON
import TestSupport
import Testing
import Transport

extension EndToEnd {
    @Suite("Drain and restart")
    struct LifecycleTests {
        @Test("Lifecycle: a drain lets requests in flight finish, closes idle connections and refuses new ones")
        func drain() async throws {
            try await withGateway { gateway in
                let idle = try TLSClient(gateway)
                #expect(try idle.call("GET", Path.state).status == 200)
                let fresh = try TLSClient(gateway)
                let busy = try TLSClient(gateway)
                let length = "Content-Length: \(trigger().utf8.count)"
                try busy.send(request("POST", Path.jobs, length, "Expect: 100-continue"))
                // From here on the request is in flight.
                #expect(try busy.answer().status == 100)
                gateway.server.beginDrain()
                try idle.expectEnd()
                try fresh.expectEnd()
                try waitUntil("new connections are refused") {
                    guard let descriptor = try? connectToLoopback(port: gateway.port) else { return true }
                    Glibc.close(descriptor)
                    return false
                }
                try busy.send(trigger())
                let answer = try busy.answer()
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.closes)
                try busy.expectEnd()
                for client in [idle, fresh, busy] { client.finishSending() }
                try waitUntil("no connection is open") { gateway.server.openConnections == 0 }
            }
        }

        @Test("Lifecycle: readiness fails before anything is refused")
        func readiness() async throws {
            var setup = GatewaySetup()
            setup.admin = true
            try await withGateway(setup) { gateway in
                let port = try #require(gateway.server.adminListening?.port)
                func status(_ path: String) throws -> String {
                    try Tool.run(
                        "curl",
                        ["-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(port)\(path)"]
                    ).text
                }
                #expect(try status("/healthz") == "200")
                #expect(try status("/readyz") == "200")
                gateway.server.failReadiness()
                #expect(try status("/readyz") == "503")
                #expect(try status("/healthz") == "200")
                #expect(try gateway.curl(Path.state).status == 200)
            }
        }

        @Test("Lifecycle: after a restart the jobs are known, and one that runs still holds its connection")
        func restart() async throws {
            try await withTestFolder { folder in
                var setup = GatewaySetup.longJobs
                let first = try await TestGateway.start(setup, in: folder)
                let (ended, running, list): (String, String, Answer)
                do {
                    let client = try TLSClient(first)
                    ended = try client.startJob()
                    try client.cancel(ended)
                    running = try client.startJob()
                    try waitUntil("the job runs") {
                        try client.call("GET", "\(Path.jobs)/\(running)").json("status")?.string == "running"
                    }
                    list = try client.call("GET", Path.jobs)
                } catch {
                    await first.stop()
                    throw error
                }
                await first.stop()

                let second = try await TestGateway.start(setup, in: folder)
                do {
                    let client = try TLSClient(second)
                    let again = try client.call("GET", Path.jobs)
                    let (now, before) = (try Self.jobs(again), try Self.jobs(list))
                    #expect(now == before)
                    try client.call("POST", Path.jobs, body: trigger()).expectConflict(with: running)
                    try client.call("POST", Path.refresh, body: #"{"streams":[]}"#).expectConflict(with: running)
                    #expect(try client.call("GET", "\(Path.jobs)/\(ended)").json("status")?.string == "cancelled")
                } catch {
                    await second.stop()
                    throw error
                }
                await second.stop()

                // The job goes on, and when it ends the connection is free.
                setup.jobMilliseconds = 1
                let third = try await TestGateway.start(setup, in: folder)
                do {
                    let client = try TLSClient(third)
                    try client.waitForEnd(of: running)
                    #expect(try client.call("GET", "\(Path.jobs)/\(running)").json("status")?.string == "succeeded")
                    try waitUntil("the connection is free") {
                        try client.call("POST", Path.jobs, body: trigger()).status == 200
                    }
                } catch {
                    await third.stop()
                    throw error
                }
                await third.stop()
            }
        }

        /// Ids with status, in the order of the list.
        private static func jobs(_ answer: Answer) throws -> [String] {
            try (answer.json("data")?.array ?? []).map { "\($0["job_id"]?.string ?? "") \($0["status"]?.string ?? "")" }
        }
    }
}
