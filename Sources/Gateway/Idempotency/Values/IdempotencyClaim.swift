/// What a request with a key asks of the records.
package struct IdempotencyClaim: Sendable {
    package let id: IdempotencyRecordID
    /// The organization whose share the record uses.
    package let organization: String
    /// Equal for requests that ask for the same.
    package let fingerprint: RequestFingerprint
    /// How long the record is kept.
    package let keep: Duration

    package init(id: IdempotencyRecordID, organization: String, fingerprint: RequestFingerprint, keep: Duration) {
        self.id = id
        self.organization = organization
        self.fingerprint = fingerprint
        self.keep = keep
    }
}

/// What a record says to a request with its key.
enum IdempotencyFinding: Sendable {
    /// The response to the first request.
    case response(StoredResponse)
    /// The job that the first request started.
    case job(LeaseJob, IdempotencyWork)
    /// The first request is in progress, or it is still being found out what became of it.
    case inProgress(IdempotencyState.Phase)
    /// Work may have begun, and nobody can tell.
    case unknown
    /// The first request asked for something else.
    case reused
}

/// Why there is no record for a request.
package enum IdempotencyRefusal: Equatable, Sendable {
    /// The organization's share of the memory is used up, for this many seconds.
    case shareUsed(retryAfterSeconds: Int)
    /// The disk cannot store the record.
    case unavailable
}
