internal import Policy
internal import Transport

/// Which endpoints are to be asked how they are, and when.
struct HealthCheckSchedule {
    private var rounds: [ObjectIdentifier: Round] = [:]

    private struct Round {
        /// INVARIANT: held as long as its identity is, which another endpoint could have afterwards.
        let endpoint: Endpoint
        var sentAt: Instant
        var hasEnded = false
    }

    /// Those of `endpoints`, which are all there are now, that are due: they count as being asked until they have answered.
    ///
    /// What is known of others is forgotten: names change their addresses for years.
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

    /// The answer of an endpoint is there, or will never be.
    mutating func responded(_ endpoint: Endpoint) { rounds[ObjectIdentifier(endpoint)]?.hasEnded = true }

    var countForTest: Int { rounds.count }
}
