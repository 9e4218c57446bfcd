internal import Policy
internal import Transport

/// Which endpoints need a health check, and when.
struct HealthCheckSchedule {
    private var rounds: [ObjectIdentifier: Round] = [:]

    private struct Round {
        /// INVARIANT: kept as long as its identity, because another endpoint could reuse the identity of a released one.
        let endpoint: Endpoint
        var sentAt: Instant
        var hasEnded = false
    }

    /// The endpoints whose check is due. Each counts as being checked until ``responded(_:)``.
    ///
    /// `endpoints` are all current endpoints. Data about others is dropped: over time a name resolves to many addresses.
    mutating func due(_ endpoints: [Endpoint], every interval: Duration, now: Instant) -> [Endpoint] {
        let present = Set(endpoints.map(ObjectIdentifier.init))
        rounds = rounds.filter { present.contains($0.key) }
        let due = endpoints.filter { endpoint in
            guard let last = rounds[ObjectIdentifier(endpoint)] else { return true }
            return last.hasEnded && last.sentAt + interval <= now
        }
        for endpoint in due { rounds[ObjectIdentifier(endpoint)] = Round(endpoint: endpoint, sentAt: now) }
        return due
    }

    /// The check of an endpoint has ended, with or without a response.
    mutating func responded(_ endpoint: Endpoint) { rounds[ObjectIdentifier(endpoint)]?.hasEnded = true }

    var countForTest: Int { rounds.count }
}
