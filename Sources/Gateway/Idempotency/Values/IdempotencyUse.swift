/// What the key of a request did, for the log and the metrics.
package enum IdempotencyUse: String, CaseIterable, Sendable {
    /// It was new: the request may begin its work, or the job of another one is its response.
    case first
    /// The response to the first request was sent again.
    case replayed
    /// The response shows the job of the first request, whose own response was lost or not kept.
    case resolved
    /// The first request is in progress, or it is being found out what became of it.
    case inProgress = "in_progress"
    /// Nobody can tell what became of the first request, or its response was not kept.
    case unknown
    /// The first request asked for something else.
    case reused
    /// There was no room, or no disk, for a record.
    case refused
}
