/// What became of a request that was not simply sent upstream, for the log, the metrics and `X-Gateway-Outcome`.
package enum RequestOutcome: String, CaseIterable, Sendable {
    /// The same request was sent before: the response shows the job of the first one.
    case deduplicated
    /// The response shows the running job of the same kind, which another request started.
    case attached
    /// The response shows the running job; the request did not need one of its own.
    case skipped
    /// The request waited for the end of other operations. Then it was sent upstream.
    case waited
    /// The request only asked what would happen.
    case dryRun = "dry-run"
}
