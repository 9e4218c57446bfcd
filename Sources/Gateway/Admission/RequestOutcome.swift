/// What became of a request that did not begin work of its own, for the log and `X-Gateway-Outcome`.
package enum RequestOutcome: String, CaseIterable, Sendable {
    /// The same request was sent before: the response shows the job of the first one.
    case deduplicated
}
