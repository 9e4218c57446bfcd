import JSON
import Synchronization
import Testing

@testable import Gateway

@Suite("Access log")
struct AccessLogTests {
    private var record: AccessRecord {
        var record = AccessRecord()
        record.epochMilliseconds = 1_709_251_199_999
        record.traceID = TraceID(high: 1, low: 2)
        record.organization = "org_xyz789"
        record.tokenID = "org_xyz789/ci"
        record.operation = "jobs.trigger"
        record.connection = "conn_abc123"
        record.status = 409
        record.code = "CONNECTOR_JOB_ALREADY_RUNNING"
        record.origin = .client
        record.stage = .admit
        record.policyVersion = "0123456789abcdef"
        record.bytesIn = 120
        record.bytesOut = 800
        record.times = StageTimes(start: 1000)
        record.times.ended(.route, at: 2500)
        record.times.ended(.admit, at: 4000)
        return record
    }

    private func line(_ record: AccessRecord) throws -> JSONValue {
        var bytes: [UInt8] = []
        AccessLogLine.append(record, to: &bytes)
        #expect(bytes.last == 0x0A)
        #expect(bytes.dropLast().allSatisfy { (0x20...0x7E).contains($0) })
        return try JSONValue.read(bytes.span)
    }

    @Test("AccessLog: a request is one line of JSON with every field")
    func fields() throws {
        let json = try line(record)
        #expect(json["time"]?.string == "2024-02-29T23:59:59.999Z")
        #expect(json["trace_id"]?.string == "00000000000000010000000000000002")
        #expect(json["organization"]?.string == "org_xyz789")
        #expect(json["token_id"]?.string == "org_xyz789/ci")
        #expect(json["operation"]?.string == "jobs.trigger")
        #expect(json["connection"]?.string == "conn_abc123")
        #expect(json["status"]?.integer == 409)
        #expect(json["code"]?.string == "CONNECTOR_JOB_ALREADY_RUNNING")
        #expect(json["origin"]?.string == "client")
        #expect(json["stage"]?.string == "admit")
        #expect(json["policy"]?.string == "0123456789abcdef")
        #expect(json["bytes_in"]?.integer == 120)
        #expect(json["bytes_out"]?.integer == 800)
        #expect(json["duration_us"]?.double == 3.0)
        #expect(json["stages_us"]?["route"]?.double == 1.5)
        #expect(json["stages_us"]?["admit"]?.double == 1.5)
        #expect(json["stages_us"]?["read"] == nil)
    }

    @Test("AccessLog: no text can break out of its field or its line")
    func hostile() throws {
        var record = record
        let text = "a\"\\\n\r\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{e9}\u{1F600}\",\"status\":200"
        record.connection = text
        record.cause = text
        let json = try line(record)
        #expect(json["connection"]?.string == text)
        #expect(json["cause"]?.string == text)
        #expect(json["status"]?.integer == 409)
    }

    @Test("AccessLog: a line quotes path, user agent and job from the head, and stars what looks like a token")
    func quotes() throws {
        let head = Array("GET /jobs/job_1?secret=1 HTTP/1.0\r\nUser-Agent: curl\"cgw_Abc-9_x y\u{e9}\r\n\r\n".utf8)
        var record = AccessRecord()
        record.path = 4..<15
        record.jobInHead = 10..<15
        record.userAgent = 47..<67
        record.isHTTP10 = true
        record.isTLS13 = false
        record.client = "192.0.2.7"
        var bytes: [UInt8] = []
        AccessLogLine.append(record, head: head.span, to: &bytes)
        #expect(bytes.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x0A })
        let json = try JSONValue.read(bytes.span)
        #expect(json["path"]?.string == "/jobs/job_1")
        #expect(json["job"]?.string == "job_1")
        #expect(json["client"]?.string == "192.0.2.7")
        #expect(json["protocol"]?.string == "HTTP/1.0")
        #expect(json["tls"]?.string == "1.2")
        #expect(json["user_agent"]?.string == "curl\"cgw_*** y\u{c3}\u{a9}")
        #expect(!String(decoding: bytes, as: UTF8.self).contains("secret"))
    }

    @Test("AccessLog: text from a client is cut, and no part of a token is left")
    func bounds() {
        var bytes: [UInt8] = []
        bytes.append(maskedJSONText: Array(repeating: 0x61, count: 300).span, limit: 256)
        #expect(bytes.count == 259)
        var cut: [UInt8] = []
        cut.append(
            maskedJSONText: Array(("x" + String(repeating: "b", count: 250) + "cgw_secret").utf8).span, limit: 256)
        #expect(!String(decoding: cut, as: UTF8.self).contains("secr"))
    }

    @Test("AccessLog: a refusal has the rule, the conflicting lease, and the request that took it")
    func explanations() throws {
        var record = record
        let job = LeaseJob(id: "job_1", type: "refresh", status: "running")
        let conflict = LeaseConflict(
            kind: "refresh", state: .held, job: job, heldSince: 1_709_251_199_999, retryAfterSeconds: 7,
            traceID: TraceID(high: 3, low: 4))
        record.explain(.failure(Failure(.jobRunning(conflict, connection: "conn_1"), at: .admit)))
        let lease = try line(record)["lease"]
        #expect(lease?["kind"]?.string == "refresh")
        #expect(lease?["job"]?.string == "job_1")
        #expect(lease?["since"]?.string == "2024-02-29T23:59:59.999Z")
        #expect(lease?["trace_id"]?.string == "00000000000000030000000000000004")

        record.explain(.failure(Failure(.rateLimited(.init(limit: "calls", retryAfterSeconds: 12)), at: .limit)))
        record.retryAfterSeconds = 12
        record.upstreamError = String(repeating: "e", count: 600)
        let json = try line(record)
        #expect(json["limit"]?.string == "calls")
        #expect(json["retry_after"]?.integer == 12)
        #expect(json["upstream_error"]?.string?.utf8.count == 515)
    }

    @Test(
        "AccessLog: behind trusted proxies the client is the rightmost address that is not a proxy's, or unknown",
        arguments: [
            ("198.51.100.1, 203.0.113.5, 10.0.0.2", false, "203.0.113.5"),
            ("203.0.113.5:80,10.0.0.2", false, "203.0.113.5"),
            ("2001:DB8:0::1", false, "2001:db8::1"), ("203.0.113.5, unknown", false, nil),
            ("10.0.0.3, 10.0.0.2", false, nil),
            ("", false, nil),
            ("203.0.113.005", false, nil), ("203.0.113.5:port", false, nil),
            ("203.0.113.5,", false, nil),
            ("for=\"x, for=1.2.3.4, for=\"[2001:db8::7]:4711\";proto=https, for=10.0.0.2", true, "2001:db8::7"),
            ("For=203.0.113.9;by=10.0.0.1", true, "203.0.113.9"), ("for=_hidden", true, nil),
            ("proto=https", true, nil), ("for=203.0.113.9;for=203.0.113.8", true, nil),
            ("for=203.0.113.9;by=\"x", true, nil), ("\",for=203.0.113.9;by=\"x", true, nil),
            // A proxy writes what a client sent into a quoted string, with a backslash before each quote.
            (#"for=203.0.113.9;host="a\",for=1.2.3.4;x=\"""#, true, "203.0.113.9"),
            (#"for=203.0.113.9;host="a\";for=1.2.3.4;x=\"""#, true, "203.0.113.9"),
            (#"host=";for=1.2.3.4";for=203.0.113.9"#, true, "203.0.113.9"),
            (#"host="a\\";for=203.0.113.9"#, true, "203.0.113.9"), (#"host="a\\\";for=1.2.3.4""#, true, nil),
            (#"for="203\.0.113.9:\80""#, true, "203.0.113.9"), (#"for="\"203.0.113.9\"""#, true, nil),
            (#"for="203.0.113.9"x"#, true, nil), (#"for="203.0.113.9\""#, true, nil), (#"for="""#, true, nil),
            (#"x\", for=203.0.113.9, for="10.0.0.2""#, true, "203.0.113.9"),
        ] as [(String, Bool, String?)])
    func clients(list: String, isForwarded: Bool, expected: String?) {
        let found = ClientAddress.client(in: Array(list.utf8), isForwarded: isForwarded) { $0.hasPrefix("10.") }
        #expect(found == expected)
    }

    @Test("AccessLog: a clock that goes back costs nothing but accuracy")
    func clock() {
        var times = StageTimes(start: 100)
        times.ended(.route, at: 50)
        times.ended(.limit, at: 150)
        #expect(times.duration(of: .route) == 0)
        #expect(times.total == 50)
    }

    @Test("AccessLog: lines of all workers reach the writer whole and in each worker's order")
    func delivery() async {
        let queue = AccessLogQueue()
        let written = Mutex<[UInt8]>([])
        let writer = Task {
            await queue.writeAll { chunk in written.withLock { $0.append(contentsOf: chunk) } }
        }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var buffer = AccessLogBuffer(queue: queue, threshold: 2000)
                    for index in 0..<500 {
                        var record = AccessRecord()
                        record.operation = "\(worker)"
                        record.status = index
                        buffer.append(record)
                    }
                    buffer.flush()
                }
            }
        }
        queue.close()
        await writer.value
        var next = [0, 0, 0, 0]
        var lines = 0
        for line in written.withLock({ $0 }).split(separator: 0x0A) {
            let bytes = Array(line)
            guard let json = try? JSONValue.read(bytes.span), let worker = json["operation"]?.string.flatMap(Int.init),
                let status = json["status"]?.integer
            else {
                Issue.record("not a line: \(String(decoding: bytes, as: UTF8.self))")
                return
            }
            #expect(Int(status) == next[worker])
            next[worker] += 1
            lines += 1
        }
        #expect(lines == 2000)
        #expect(queue.droppedLines == 0)
    }

    @Test("AccessLog: if the writer stops, lines are dropped and counted, and no request waits")
    func overflow() async {
        let queue = AccessLogQueue(maximumBytes: 1000)
        queue.submit([UInt8](repeating: 0x61, count: 900), lines: 3)
        queue.submit([UInt8](repeating: 0x62, count: 200), lines: 2)
        queue.submit([UInt8](repeating: 0x63, count: 100), lines: 1)
        #expect(queue.droppedLines == 2)
        queue.close()
        queue.submit([0x64], lines: 1)
        #expect(queue.droppedLines == 3)
        queue.lost(lines: 2)
        #expect(queue.droppedLines == 5)
        let written = Mutex<Int>(0)
        await queue.writeAll { chunk in written.withLock { $0 += chunk.count } }
        #expect(written.withLock { $0 } == 1000)
    }
}
