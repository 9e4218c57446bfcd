import Testing

@testable import Gateway

@Suite("Metrics")
struct MetricsTests {
    private func text(_ metrics: Metrics, _ gauges: Metrics.Gauges = Metrics.Gauges()) -> [String] {
        var bytes: [UInt8] = []
        metrics.render(gauges, to: &bytes)
        #expect(bytes.last == 0x0A)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test("Metrics: requests are summed over workers by operation, status and stage")
    func requests() {
        let metrics = Metrics(workerCount: 2)
        for worker in 0..<2 {
            let counters = metrics[worker: worker].operation("jobs.trigger")
            counters.record(status: 200, stage: .record, duration: 40_000)
            counters.record(status: 409, stage: .admit, duration: 3_000_000)
        }
        metrics[worker: 1].operation("jobs.trigger").record(status: 418, stage: .normalize, duration: 90_000_000_000)
        let lines = text(metrics)
        let name = "gateway_requests_total"
        #expect(lines.contains(#"\#(name){operation="jobs.trigger",status="200",stage="record"} 2"#))
        #expect(lines.contains(#"\#(name){operation="jobs.trigger",status="409",stage="admit"} 2"#))
        #expect(lines.contains(#"\#(name){operation="jobs.trigger",status="4xx",stage="normalize"} 1"#))
        let histogram = "gateway_request_duration_seconds"
        #expect(lines.contains(#"\#(histogram)_bucket{operation="jobs.trigger",le="5e-05"} 2"#))
        #expect(lines.contains(#"\#(histogram)_bucket{operation="jobs.trigger",le="0.005"} 4"#))
        #expect(lines.contains(#"\#(histogram)_bucket{operation="jobs.trigger",le="30.0"} 4"#))
        #expect(lines.contains(#"\#(histogram)_bucket{operation="jobs.trigger",le="+Inf"} 5"#))
        #expect(lines.contains(#"\#(histogram)_count{operation="jobs.trigger"} 5"#))
    }

    @Test("Metrics: every status has a slot and a label")
    func slots() {
        for status in -1...1000 {
            let slot = StatusSlot.index(of: status)
            #expect((0..<32).contains(slot))
            let label = StatusSlot.label(of: slot)
            if (100..<600).contains(status) {
                #expect(label == "\(status)" || label == "\(status / 100)xx")
            } else {
                #expect(label == "none")
            }
        }
    }

    @Test("Metrics: connections, leases, limits and reloads are shown")
    func others() {
        let metrics = Metrics(workerCount: 1)
        metrics[worker: 0].add(3, to: .connectionsOpened)
        metrics[worker: 0].add(to: .connectionsClosed)
        metrics[worker: 0].limitExceeded("a\"b\\c\nd", isEnforced: true)
        metrics[worker: 0].limitExceeded("calls", isEnforced: false)
        metrics.reloaded(accepted: true)
        metrics.reloaded(accepted: false)
        var gauges = Metrics.Gauges()
        gauges.leases.held = 4
        gauges.limiter.buckets = 9
        gauges.policyVersion = "abc"
        let lines = text(metrics, gauges)
        #expect(lines.contains(#"gateway_connections{worker="0"} 2"#))
        #expect(lines.contains(#"gateway_connections_total{worker="0"} 3"#))
        #expect(lines.contains(#"gateway_leases{state="held"} 4"#))
        #expect(lines.contains(#"gateway_rate_limit_buckets 9"#))
        #expect(lines.contains(#"gateway_rate_limit_exceeded_total{limit="a\"b\\c\nd",mode="enforce"} 1"#))
        #expect(lines.contains(#"gateway_rate_limit_exceeded_total{limit="calls",mode="observe"} 1"#))
        #expect(lines.contains(#"gateway_policy_reloads_total{result="rejected"} 1"#))
        #expect(lines.contains(#"gateway_policy_info{version="abc"} 1"#))
    }

    @Test("Metrics: each metric is announced once, before its samples, and each sample is one line")
    func format() {
        let metrics = Metrics(workerCount: 2)
        metrics[worker: 0].operation("a").record(status: 200, stage: .record, duration: 1)
        metrics[worker: 1].operation("b").record(status: 200, stage: .record, duration: 1)
        var announced: Set<String> = []
        var samples: Set<String> = []
        for line in text(metrics) {
            if line.hasPrefix("# TYPE ") {
                #expect(announced.insert(String(line.split(separator: " ")[2])).inserted)
            } else if !line.hasPrefix("#") {
                let series = line[..<(line.lastIndex(of: " ") ?? line.endIndex)]
                #expect(samples.insert(String(series)).inserted)
                let name = String(series.prefix { $0 != "{" })
                let base = ["_bucket", "_sum", "_count"].reduce(name) { name, suffix in
                    name.hasSuffix(suffix) && announced.contains(String(name.dropLast(suffix.count)))
                        ? String(name.dropLast(suffix.count)) : name
                }
                #expect(announced.contains(base), "\(line)")
            }
        }
    }

    @Test("Metrics: reading while a worker counts is safe and never goes back")
    func concurrentReads() async {
        let metrics = Metrics(workerCount: 1)
        async let writing: Void = {
            let counters = metrics[worker: 0].operation("a")
            for _ in 0..<20_000 { counters.record(status: 200, stage: .record, duration: 1000) }
        }()
        var last: UInt64 = 0
        for _ in 0..<50 {
            var totals: [String: OperationTotals] = [:]
            metrics[worker: 0].collect(operations: &totals)
            let count = totals["a"]?.count ?? 0
            #expect(count >= last)
            last = count
        }
        await writing
        var totals: [String: OperationTotals] = [:]
        metrics[worker: 0].collect(operations: &totals)
        #expect(totals["a"]?.count == 20_000)
    }
}
