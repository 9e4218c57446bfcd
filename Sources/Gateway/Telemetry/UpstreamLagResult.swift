/// What became of a 409 of the upstream to a request whose connection was free here, for the log and the metrics.
package enum UpstreamLagResult: String, CaseIterable, Sendable {
    /// No job ran, so the request was sent again.
    case retried
    /// A job ran that the gateway did not know. It has a lease now.
    case adopted
}
