/// Why a request with a key is neither executed nor answered with the response to the first one.
package enum IdempotencyProblem: Equatable, Sendable {
    /// The first request is in progress; or its response was lost, and the upstream is asked what became of it.
    case inProgress(isUnconfirmed: Bool)
    /// The first request may have been executed, and nobody can tell.
    case outcomeUnknown
    /// The first request was executed. Its response, with this status, was too large to be kept.
    case responseNotKept(status: Int)
    /// The first request asked for something else.
    case keyReused
    /// The organization's share of the memory for records is used up.
    case shareUsed(retryAfterSeconds: Int)
    /// The disk cannot store the record.
    case storeUnavailable
}
