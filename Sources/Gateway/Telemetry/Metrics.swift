internal import Bytes
internal import Synchronization

/// All metrics of the gateway, rendered as Prometheus text (format 0.0.4).
package final class Metrics: Sendable {
    /// Values that are measured when the metrics are rendered.
    package struct Gauges: Sendable {
        package var leases = LeaseTable.Usage()
        package var limiter = RateLimiter.Usage()
        /// The short version of the policy set in force.
        package var policyVersion = ""
        /// Seconds since the epoch.
        package var policyLoadedAt: Int64 = 0
        /// Since the process started.
        package var droppedLogLines = 0
        /// Successful and rejected reloads of each part.
        package var reloads: [(what: String, accepted: Int, refused: Int)] = []
        /// `false` while the gateway drains.
        package var isReady = true
        /// Leases that are older than any job should be.
        package var overdueLeases = 0
        /// The maximum number of open connections.
        package var connectionLimit = 0
        package var idempotency = IdempotencyTable.Usage()
        /// `nil` for the upstream in this process, which has its own journal of jobs.
        var journal: LeaseJournal.Usage?
        /// The results of status polls; `nil` for the upstream in this process.
        var polls: PollCounts?
        /// The jobs that an upstream showed with a status that no policy lists.
        var unknownStatuses: UInt64 = 0
        /// Status polls in flight and due, by organization.
        var pollShares: [ShareUsage] = []
        /// `nil` for the upstream in this process.
        var upstream: UpstreamUsage?
        /// The memory of request bodies by organization.
        var bodies: [ShareUsage] = []
        /// The ids of the organizations by their keys.
        var organizations: [UInt64: String] = [:]

        package init() {}
    }

    private let workers: [WorkerMetrics]
    private let reloadsAccepted = Atomic<UInt64>(0)
    private let reloadsRefused = Atomic<UInt64>(0)

    package init(workerCount: Int) { workers = (0..<workerCount).map { _ in WorkerMetrics() } }

    /// The counters of one worker.
    package subscript(worker index: Int) -> WorkerMetrics { workers[index] }

    /// The sum of one counter over all workers.
    func total(of count: WorkerMetrics.Count) -> UInt64 { workers.reduce(0) { $0 + $1.value(of: count) } }

    /// Counts an attempt to replace the policy set.
    package func reloaded(accepted: Bool) {
        if accepted {
            reloadsAccepted.wrappingAdd(1, ordering: .relaxed)
        } else {
            reloadsRefused.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// Appends all metrics.
    package func render(_ gauges: Gauges, to out: inout [UInt8]) {
        renderRequests(to: &out)
        renderWorkers(to: &out)
        out.beginMetric("gateway_connections_limit", "gauge", "Connections that may be open at once.")
        out.sample("gateway_connections_limit", [:], UInt64(gauges.connectionLimit))
        renderLeases(gauges.leases, to: &out)
        out.beginMetric("gateway_leases_overdue", "gauge", "Leases that are older than any job should be.")
        out.sample("gateway_leases_overdue", [:], UInt64(gauges.overdueLeases))
        if let journal = gauges.journal { renderJournal(journal, to: &out) }
        renderIdempotency(gauges.idempotency, to: &out)
        if let polls = gauges.polls { renderPolls(polls, gauges, to: &out) }
        renderLimits(gauges.limiter, to: &out)
        if let upstream = gauges.upstream { renderUpstream(upstream, gauges, to: &out) }
        renderTurns(gauges, to: &out)
        render(
            gauges.bodies, of: gauges, \.inUse, as: "gateway_body_bytes",
            "Memory of request bodies in flight, by organization.", to: &out)

        out.beginMetric("gateway_policy_reloads_total", "counter", "Policy reloads by result.")
        out.sample("gateway_policy_reloads_total", ["result": "accepted"], reloadsAccepted.load(ordering: .relaxed))
        out.sample("gateway_policy_reloads_total", ["result": "rejected"], reloadsRefused.load(ordering: .relaxed))
        out.beginMetric(
            "gateway_reloads_total", "counter", "Reloads of policies, upstream and certificates, by result.")
        for (what, accepted, refused) in gauges.reloads {
            out.sample("gateway_reloads_total", ["what": what, "result": "accepted"], UInt64(accepted))
            out.sample("gateway_reloads_total", ["what": what, "result": "rejected"], UInt64(refused))
        }
        out.beginMetric("gateway_policy_info", "gauge", "The version of the current policy set.")
        out.sample("gateway_policy_info", ["version": gauges.policyVersion], 1)
        out.beginMetric("gateway_policy_loaded_timestamp_seconds", "gauge", "When the policy set was loaded.")
        out.sample("gateway_policy_loaded_timestamp_seconds", [:], UInt64(max(gauges.policyLoadedAt, 0)))
        out.beginMetric("gateway_ready", "gauge", "Whether /readyz succeeds: 0 while the gateway drains.")
        out.sample("gateway_ready", [:], gauges.isReady ? 1 : 0)
        out.beginMetric(
            "gateway_access_log_dropped_lines_total", "counter",
            "Log lines dropped because the queue was full or writing failed.")
        out.sample("gateway_access_log_dropped_lines_total", [:], UInt64(gauges.droppedLogLines))
    }

    private func renderRequests(to out: inout [UInt8]) {
        var totals: [String: OperationTotals] = [:]
        for worker in workers { worker.collect(operations: &totals) }
        let operations = totals.sorted { $0.key < $1.key }

        out.beginMetric(
            "gateway_requests_total", "counter", "Requests by operation, status and the stage that ended them.")
        for (operation, totals) in operations {
            for index in totals.requests.indices where totals.requests[index] > 0 {
                out.sample(
                    "gateway_requests_total",
                    [
                        "operation": operation, "status": StatusSlot.label(of: index % 32),
                        "stage": Stage.allCases[index / 32].rawValue,
                    ], totals.requests[index])
            }
        }
        let histogram = "gateway_request_duration_seconds"
        out.beginMetric(histogram, "histogram", "Time from the head to the last byte of the response.")
        for (operation, totals) in operations {
            var sum: UInt64 = 0
            for (index, bound) in OperationMetrics.bounds.enumerated() {
                sum += totals.buckets[index]
                out.sample("\(histogram)_bucket", ["operation": operation, "le": "\(Double(bound) / 1e6)"], sum)
            }
            out.sample("\(histogram)_bucket", ["operation": operation, "le": "+Inf"], totals.count)
            out.sample("\(histogram)_sum", ["operation": operation], "\(Double(totals.nanoseconds) / 1e9)")
            out.sample("\(histogram)_count", ["operation": operation], totals.count)
        }
    }

    private func renderWorkers(to out: inout [UInt8]) {
        var last = ""
        for count in WorkerMetrics.Count.allCases {
            guard let (name, kind, help) = count.description else { continue }
            // Counters of one metric with different labels are adjacent.
            if name != last { out.beginMetric(name, "counter", help) }
            last = name
            for (index, worker) in workers.enumerated() {
                var labels: KeyValuePairs<String, String> = ["worker": "\(index)"]
                if let kind { labels = ["worker": "\(index)", kind.label: kind.value] }
                out.sample(name, labels, worker.value(of: count))
            }
        }
        out.beginMetric("gateway_connections", "gauge", "Open connections.")
        for (index, worker) in workers.enumerated() {
            let closed = worker.value(of: .connectionsClosed)
            let opened = worker.value(of: .connectionsOpened)
            out.sample("gateway_connections", ["worker": "\(index)"], opened - min(opened, closed))
        }
    }

    private func renderTurns(_ gauges: Gauges, to out: inout [UInt8]) {
        var turns: [UInt64: UInt64] = [:]
        for worker in workers { worker.collect(turns: &turns) }
        let name = "gateway_turns_waited_total"
        out.beginMetric(
            name, "counter", "Times that a connection waited for the turns of others, by organization.")
        sample(name, byOrganization: turns.map { ($0.key, $0.value) }, gauges, to: &out)
    }

    private func renderLeases(_ usage: LeaseTable.Usage, to out: inout [UInt8]) {
        out.beginMetric("gateway_leases", "gauge", "Leases by state.")
        for state in LeaseState.allCases {
            let count =
                switch state {
                case .reserved: usage.reserved
                case .held: usage.held
                case .draining: usage.draining
                case .uncertain: usage.uncertain
                case .settling: usage.settling
                }
            out.sample("gateway_leases", ["state": state.rawValue], UInt64(count))
        }
        out.beginMetric("gateway_lease_requests_pending", "gauge", "Requests that wait for a connection.")
        out.sample("gateway_lease_requests_pending", [:], UInt64(usage.waiting))
    }

    private func renderJournal(_ journal: LeaseJournal.Usage, to out: inout [UInt8]) {
        out.beginMetric(
            "gateway_lease_journal_available", "gauge",
            "Whether the lease journal can be written: 0 while the disk fails and triggers get 503.")
        out.sample("gateway_lease_journal_available", [:], journal.isAvailable ? 1 : 0)
        out.beginMetric("gateway_lease_journal_bytes", "gauge", "Size of the lease journal's file.")
        out.sample("gateway_lease_journal_bytes", [:], UInt64(max(journal.fileBytes, 0)))
    }

    private func renderIdempotency(_ usage: IdempotencyTable.Usage, to out: inout [UInt8]) {
        out.beginMetric(
            "gateway_idempotency_records", "gauge", "Records of requests with an Idempotency-Key, by state.")
        for phase in IdempotencyState.Phase.allCases {
            out.sample("gateway_idempotency_records", ["state": phase.rawValue], UInt64(usage.records[phase] ?? 0))
        }
        out.beginMetric("gateway_idempotency_bytes", "gauge", "Memory of these records.")
        out.sample("gateway_idempotency_bytes", [:], UInt64(max(usage.bytes, 0)))
        out.beginMetric("gateway_idempotency_limit_bytes", "gauge", "Memory that these records may have.")
        out.sample("gateway_idempotency_limit_bytes", [:], UInt64(usage.capacityBytes))
        if let isAvailable = usage.isJournalAvailable {
            out.beginMetric(
                "gateway_idempotency_journal_available", "gauge",
                "Whether the idempotency journal can be written: 0 while the disk fails and requests with a key get 503."
            )
            out.sample("gateway_idempotency_journal_available", [:], isAvailable ? 1 : 0)
            out.beginMetric("gateway_idempotency_journal_bytes", "gauge", "Size of the idempotency journal's file.")
            out.sample("gateway_idempotency_journal_bytes", [:], UInt64(max(usage.journalBytes, 0)))
        }
        var totals: [IdempotencyUse: UInt64] = [:]
        for worker in workers { worker.collect(keys: &totals) }
        let name = "gateway_idempotency_requests_total"
        out.beginMetric(name, "counter", "Requests with an Idempotency-Key, by what the key did.")
        for use in IdempotencyUse.allCases { out.sample(name, ["result": use.rawValue], totals[use] ?? 0) }
    }

    private func renderPolls(_ counts: PollCounts, _ gauges: Gauges, to out: inout [UInt8]) {
        render(
            gauges.pollShares, of: gauges, \.inUse, as: "gateway_job_polls_in_flight",
            "Status polls in flight, by organization.", to: &out)
        render(
            gauges.pollShares, of: gauges, \.waiting, as: "gateway_job_polls_pending",
            "Status polls that wait to be sent, by organization.", to: &out)
        let unknown = "gateway_unknown_job_statuses_total"
        out.beginMetric(
            unknown, "counter", "How often the upstream showed a job with a status that the policies do not list.")
        out.sample(unknown, [:], gauges.unknownStatuses)
        let name = "gateway_job_polls_total"
        out.beginMetric(name, "counter", "Status polls, by outcome.")
        out.sample(name, ["outcome": "answered"], counts.answered)
        for doubt in InconclusiveResponse.allCases {
            out.sample(name, ["outcome": doubt.rawValue], counts.inconclusive[doubt] ?? 0)
        }
    }

    /// Only organizations that use something have a sample, so the number of samples is small.
    private func render(
        _ shares: [ShareUsage], of gauges: Gauges, _ value: KeyPath<ShareUsage, Int>, as name: String, _ help: String,
        to out: inout [UInt8]
    ) {
        out.beginMetric(name, "gauge", help)
        sample(
            name, byOrganization: shares.map { ($0.organization, UInt64(max($0[keyPath: value], 0))) }, gauges, to: &out
        )
    }

    /// Appends a sample for each organization with a count. Callers without an organization, and organizations that a
    /// reload has removed, share one sample with an empty name.
    private func sample(
        _ name: String, byOrganization counts: [(organization: UInt64, count: UInt64)], _ gauges: Gauges,
        to out: inout [UInt8]
    ) {
        var totals: [String: UInt64] = [:]
        for (organization, count) in counts where count > 0 {
            totals[gauges.organizations[organization] ?? "", default: 0] += count
        }
        for (organization, total) in totals.sorted(by: { $0.key < $1.key }) {
            out.sample(name, ["organization": organization], total)
        }
    }

    private func renderUpstream(_ usage: UpstreamUsage, _ gauges: Gauges, to out: inout [UInt8]) {
        out.beginMetric("gateway_upstream_requests_in_flight", "gauge", "Requests in flight to the upstream.")
        out.sample("gateway_upstream_requests_in_flight", [:], UInt64(max(0, usage.inFlight)))
        out.beginMetric("gateway_upstream_requests_pending", "gauge", "Requests that wait for a permit.")
        out.sample("gateway_upstream_requests_pending", [:], UInt64(usage.waiting))
        render(
            usage.shares, of: gauges, \.inUse, as: "gateway_upstream_permits_in_use",
            "Requests in flight to the upstream, by organization.", to: &out)
        render(
            usage.shares, of: gauges, \.waiting, as: "gateway_upstream_permits_pending",
            "Requests that wait for a permit, by organization.", to: &out)
        out.beginMetric(
            "gateway_upstream_endpoint_healthy", "gauge",
            "Whether an endpoint has had no failure since its last success and is not ejected.")
        for endpoint in usage.endpoints {
            let labels: KeyValuePairs = ["url": endpoint.url, "address": endpoint.address]
            out.sample("gateway_upstream_endpoint_healthy", labels, endpoint.isHealthy ? 1 : 0)
        }
        out.beginMetric(
            "gateway_upstream_endpoint_ejected", "gauge",
            "Whether an endpoint is ejected and gets no requests except probes.")
        for endpoint in usage.endpoints {
            let labels: KeyValuePairs = ["url": endpoint.url, "address": endpoint.address]
            out.sample("gateway_upstream_endpoint_ejected", labels, endpoint.isEjected ? 1 : 0)
        }
        out.beginMetric(
            "gateway_upstream_ejections_total", "counter", "Ejections of an endpoint because of failed requests.")
        for endpoint in usage.endpoints {
            let labels: KeyValuePairs = ["url": endpoint.url, "address": endpoint.address]
            out.sample("gateway_upstream_ejections_total", labels, UInt64(endpoint.ejections))
        }
        var totals: [UpstreamFailure: UInt64] = [:]
        for worker in workers { worker.collect(failures: &totals) }
        out.beginMetric(
            "gateway_upstream_failures_total", "counter",
            "Requests without a complete response from the upstream, by reason.")
        for failure in UpstreamFailure.allCases {
            guard let count = totals[failure] else { continue }
            out.sample("gateway_upstream_failures_total", ["reason": "\(failure)"], count)
        }
    }

    private func render(
        _ name: String, _ help: String, _ totals: [CountedLimit: UInt64], to out: inout [UInt8]
    ) {
        out.beginMetric(name, "counter", help)
        for (limit, count) in totals.sorted(by: { $0.key < $1.key }) {
            out.sample(name, ["limit": limit.name, "mode": limit.isEnforced ? "enforce" : "observe"], count)
        }
    }

    private func renderLimits(_ usage: RateLimiter.Usage, to out: inout [UInt8]) {
        var exceeded: [CountedLimit: UInt64] = [:]
        var near: [CountedLimit: UInt64] = [:]
        for worker in workers {
            worker.collect(limits: &exceeded)
            worker.collect(nearLimits: &near)
        }
        render(
            "gateway_rate_limit_exceeded_total",
            "Requests that exceeded a rate limit, whether refused or only observed.", exceeded, to: &out)
        render(
            "gateway_rate_limit_near_total",
            "Admitted requests after which at least 80 % of the burst of a rate limit were used.", near, to: &out)
        out.beginMetric("gateway_rate_limit_buckets", "gauge", "Rate limit buckets that are not full.")
        out.sample("gateway_rate_limit_buckets", [:], UInt64(usage.buckets))
        out.beginMetric("gateway_rate_limit_bytes", "gauge", "Memory of the tables of rate limit buckets.")
        out.sample("gateway_rate_limit_bytes", [:], UInt64(usage.bytes))
        out.beginMetric(
            "gateway_rate_limit_evictions_total", "counter", "Rate limit buckets evicted because the table was full.")
        out.sample("gateway_rate_limit_evictions_total", [:], UInt64(usage.evictions))
    }
}

extension [UInt8] {
    fileprivate mutating func beginMetric(_ name: String, _ type: String, _ help: String) {
        append(text: "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n")
    }

    fileprivate mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: UInt64) {
        sample(name, labels, "\(value)")
    }

    fileprivate mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: String) {
        append(text: name)
        if !labels.isEmpty {
            append(UInt8(ascii: "{"))
            for (index, label) in labels.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                append(text: label.key)
                append(text: "=\"")
                append(labelValue: label.value)
                append(UInt8(ascii: "\""))
            }
            append(UInt8(ascii: "}"))
        }
        append(UInt8(ascii: " "))
        append(text: value)
        append(UInt8(ascii: "\n"))
    }

    private mutating func append(labelValue text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case UInt8(ascii: "\n"): append(text: "\\n")
            default: append(byte)
            }
        }
    }
}
