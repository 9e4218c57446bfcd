internal import Synchronization

/// The counts of one worker. Methods are called on the worker; ``Metrics`` reads from any thread.
package final class WorkerMetrics: Sendable {
    /// What a worker counts besides requests.
    package enum Count: Int, CaseIterable, Sendable {
        case connectionsOpened, connectionsClosed, connectionsShed, connectionsEvicted, handshakesFull,
            handshakesResumed, handshakesFailed
        case bytesIn, bytesOut, headsRefused
        case upstreamConnections, upstreamReuses, upstreamRetries, logLinesSuppressed

        /// The metric's name and help, `nil` for those that are shown as a difference.
        var description: (name: String, help: String)? {
            switch self {
            case .connectionsOpened: ("gateway_connections_total", "Connections accepted.")
            case .connectionsClosed: nil
            case .connectionsShed: ("gateway_connections_shed_total", "Connections refused for want of room.")
            case .connectionsEvicted:
                ("gateway_connections_evicted_total", "Connections ended to make room for others.")
            case .handshakesFull: ("gateway_tls_handshakes_full_total", "Full TLS handshakes.")
            case .handshakesResumed: ("gateway_tls_handshakes_resumed_total", "Resumed TLS handshakes.")
            case .handshakesFailed: ("gateway_tls_handshakes_failed_total", "TLS handshakes that failed.")
            case .bytesIn: ("gateway_received_bytes_total", "Bytes of requests.")
            case .bytesOut: ("gateway_sent_bytes_total", "Bytes of responses.")
            case .upstreamConnections: ("gateway_upstream_connections_total", "Connections made to the upstream.")
            case .upstreamReuses: ("gateway_upstream_reuses_total", "Requests sent over a kept connection.")
            case .upstreamRetries: ("gateway_upstream_retries_total", "Requests sent to the upstream once more.")
            case .logLinesSuppressed:
                ("gateway_access_log_suppressed_lines_total", "Log lines left out by log.errorsPerOrganization.")
            case .headsRefused: ("gateway_heads_refused_total", "Requests refused before a route was known.")
            }
        }
    }

    /// One for each of `Count`.
    private let counts = InlineArray<14, Atomic<UInt64>> { _ in Atomic(0) }
    private let operations = Mutex<[String: OperationCounters]>([:])
    private let limits = Mutex<[ExceededLimit: UInt64]>([:])
    private let failures = Mutex<[UpstreamFailure: UInt64]>([:])
    private let turns = Mutex<[UInt64: UInt64]>([:])

    init() { precondition(counts.count == Count.allCases.count, "every count has its place") }

    /// Adds without an atomic addition: no other thread writes.
    package func add(_ amount: UInt64 = 1, to count: Count) {
        let value = counts[count.rawValue].load(ordering: .relaxed)
        counts[count.rawValue].store(value &+ amount, ordering: .relaxed)
    }

    /// The counters of an operation. Look them up once per policy set and keep them by route index.
    package func operation(_ name: String) -> OperationCounters {
        operations.withLock { operations in
            if let counters = operations[name] { return counters }
            let counters = OperationCounters()
            operations[name] = counters
            return counters
        }
    }

    /// Counts a limit that was found exceeded: refused by it, or only observed.
    package func limitExceeded(_ name: String, isEnforced: Bool) {
        limits.withLock { $0[ExceededLimit(name: name, isEnforced: isEnforced), default: 0] += 1 }
    }

    /// Counts a request that got no answer from the upstream.
    func upstreamFailed(_ failure: UpstreamFailure) { failures.withLock { $0[failure, default: 0] += 1 } }

    /// Counts a time that a connection of an organization, 0 where it is not known, waited for others to have their turn.
    func turnAwaited(by organization: UInt64) { turns.withLock { $0[organization, default: 0] += 1 } }

    func value(of count: Count) -> UInt64 { counts[count.rawValue].load(ordering: .relaxed) }

    func collect(operations totals: inout [String: OperationTotals]) {
        let counters = operations.withLock { $0 }
        for (name, counters) in counters { counters.collect(into: &totals[name, default: OperationTotals()]) }
    }

    func collect(failures totals: inout [UpstreamFailure: UInt64]) {
        failures.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(turns totals: inout [UInt64: UInt64]) {
        turns.withLock { totals.merge($0, uniquingKeysWith: +) }
    }

    func collect(limits totals: inout [ExceededLimit: UInt64]) {
        limits.withLock { totals.merge($0, uniquingKeysWith: +) }
    }
}

/// A limit's name and whether it refuses.
struct ExceededLimit: Hashable, Comparable {
    let name: String
    let isEnforced: Bool

    static func < (one: ExceededLimit, other: ExceededLimit) -> Bool {
        (one.name, one.isEnforced ? 1 : 0) < (other.name, other.isEnforced ? 1 : 0)
    }
}
