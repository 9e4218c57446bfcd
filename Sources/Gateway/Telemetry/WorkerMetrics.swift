internal import Synchronization

/// The counters of one worker. Only the worker calls the counting methods; ``Metrics`` reads from any thread.
package final class WorkerMetrics: Sendable {
    /// The counters besides those of requests.
    package enum Count: Int, CaseIterable, Sendable {
        case connectionsOpened, connectionsClosed, connectionsShed, connectionsEvicted, handshakesFull,
            handshakesResumed, handshakesFailed
        case bytesIn, bytesOut, headsRefused
        case upstreamConnections, upstreamReuses, upstreamRetries, logLinesSuppressed
        case requestsDeduplicated, requestsAttached, requestsSkipped, requestsWaited, requestsDryRun
        case conflictsRetried, conflictsAdopted

        /// The metric's name and help, and the label that distinguishes counters of the same name; `nil` for a counter
        /// that is only rendered as part of a difference.
        var description: (name: String, kind: (label: String, value: String)?, help: String)? {
            switch self {
            case .connectionsOpened: ("gateway_connections_total", nil, "Connections accepted.")
            case .connectionsClosed: nil
            case .connectionsShed:
                ("gateway_connections_shed_total", nil, "Connections refused because the limit was reached.")
            case .connectionsEvicted:
                ("gateway_connections_evicted_total", nil, "Idle connections closed to make room for new ones.")
            case .handshakesFull: Self.handshakes("full")
            case .handshakesResumed: Self.handshakes("resumed")
            case .handshakesFailed: Self.handshakes("failed")
            case .bytesIn: ("gateway_received_bytes_total", nil, "Bytes of requests.")
            case .bytesOut: ("gateway_sent_bytes_total", nil, "Bytes of responses.")
            case .upstreamConnections: Self.upstreamRequests("new")
            case .upstreamReuses: Self.upstreamRequests("reused")
            case .upstreamRetries: ("gateway_upstream_retries_total", nil, "Requests sent to the upstream again.")
            case .logLinesSuppressed:
                ("gateway_access_log_suppressed_lines_total", nil, "Log lines left out by log.errorsPerOrganization.")
            case .requestsDeduplicated: Self.outcomes(.deduplicated)
            case .requestsAttached: Self.outcomes(.attached)
            case .requestsSkipped: Self.outcomes(.skipped)
            case .requestsWaited: Self.outcomes(.waited)
            case .requestsDryRun: Self.outcomes(.dryRun)
            case .conflictsRetried: Self.lag(.retried)
            case .conflictsAdopted: Self.lag(.adopted)
            case .headsRefused:
                ("gateway_malformed_requests_total", nil, "Requests refused before a route was known.")
            }
        }

        private static func outcomes(_ outcome: RequestOutcome) -> (String, (String, String)?, String) {
            (
                "gateway_request_outcomes_total", ("outcome", outcome.rawValue),
                "Requests that were not simply sent upstream, by what became of them."
            )
        }

        private static func lag(_ result: UpstreamLagResult) -> (String, (String, String)?, String) {
            (
                "gateway_upstream_lag_total", ("result", result.rawValue),
                "Responses 409 of the upstream to requests whose connection was free, by what became of them."
            )
        }

        /// The count of requests with this outcome.
        init(_ outcome: RequestOutcome) {
            switch outcome {
            case .deduplicated: self = .requestsDeduplicated
            case .attached: self = .requestsAttached
            case .skipped: self = .requestsSkipped
            case .waited: self = .requestsWaited
            case .dryRun: self = .requestsDryRun
            }
        }

        private static func handshakes(_ result: String) -> (String, (String, String)?, String) {
            ("gateway_tls_handshakes_total", ("result", result), "TLS handshakes by result.")
        }

        private static func upstreamRequests(_ connection: String) -> (String, (String, String)?, String) {
            (
                "gateway_upstream_requests_total", ("connection", connection),
                "Requests sent upstream over a new or a reused connection, retries included."
            )
        }
    }

    /// One for each of `Count`.
    private let counts = InlineArray<21, Atomic<UInt64>> { _ in Atomic(0) }
    private let operations = Mutex<[String: OperationMetrics]>([:])
    private let limits = Mutex<[CountedLimit: UInt64]>([:])
    private let nearLimits = Mutex<[CountedLimit: UInt64]>([:])
    private let failures = Mutex<[UpstreamFailure: UInt64]>([:])
    private let keys = Mutex<[IdempotencyUse: UInt64]>([:])
    private let turns = Mutex<[UInt64: UInt64]>([:])

    init() { precondition(counts.count == Count.allCases.count, "every count has its place") }

    /// Adds with a plain load and store, because no other thread writes.
    package func add(_ amount: UInt64 = 1, to count: Count) {
        let value = counts[count.rawValue].load(ordering: .relaxed)
        counts[count.rawValue].store(value &+ amount, ordering: .relaxed)
    }

    /// The counters of an operation. Look them up once per policy set, and keep them by route index.
    package func operation(_ name: String) -> OperationMetrics {
        operations.withLock { operations in
            if let counters = operations[name] { return counters }
            let counters = OperationMetrics()
            operations[name] = counters
            return counters
        }
    }

    /// Counts an exceeded limit, whether it refused the request or was only observed.
    package func limitExceeded(_ name: String, isEnforced: Bool) {
        limits.withLock { $0[CountedLimit(name: name, isEnforced: isEnforced), default: 0] += 1 }
    }

    /// Counts an admitted request that has used at least four fifths of a limit's burst.
    func limitNear(_ name: String, isEnforced: Bool) {
        nearLimits.withLock { $0[CountedLimit(name: name, isEnforced: isEnforced), default: 0] += 1 }
    }

    /// Counts a request without a response from the upstream.
    func upstreamFailed(_ failure: UpstreamFailure) { failures.withLock { $0[failure, default: 0] += 1 } }

    /// Counts a request with a key.
    func keyUsed(_ use: IdempotencyUse) { keys.withLock { $0[use, default: 0] += 1 } }

    /// Counts one wait of a connection for the turns of others. `organization` is 0 if unknown.
    func turnAwaited(by organization: UInt64) { turns.withLock { $0[organization, default: 0] += 1 } }

    func value(of count: Count) -> UInt64 { counts[count.rawValue].load(ordering: .relaxed) }

    func collect(operations totals: inout [String: OperationTotals]) {
        let counters = operations.withLock { $0 }
        for (name, counters) in counters { counters.collect(into: &totals[name, default: OperationTotals()]) }
    }

    func collect(failures totals: inout [UpstreamFailure: UInt64]) {
        failures.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(keys totals: inout [IdempotencyUse: UInt64]) {
        keys.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(turns totals: inout [UInt64: UInt64]) {
        turns.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(limits totals: inout [CountedLimit: UInt64]) {
        limits.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(nearLimits totals: inout [CountedLimit: UInt64]) {
        nearLimits.withLock { totals.merge($0, uniquingKeysWith: +) }
    }
}

/// A limit's name, and whether the limit refuses.
struct CountedLimit: Hashable, Comparable {
    let name: String
    let isEnforced: Bool

    static func < (one: CountedLimit, other: CountedLimit) -> Bool {
        (one.name, one.isEnforced ? 1 : 0) < (other.name, other.isEnforced ? 1 : 0)
    }
}
