/// The current state of a remote upstream, for metrics.
struct UpstreamUsage: Sendable {
    let inFlight: Int
    let waiting: Int
    /// Permits and waiting requests by organization.
    let shares: [ShareUsage]
    let endpoints: [EndpointUsage]
}

/// The current state of an endpoint, for metrics.
struct EndpointUsage: Sendable {
    let url: String
    let address: String
    let isHealthy: Bool
    let isEjected: Bool
    let ejections: Int
}
