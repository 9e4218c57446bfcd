internal import Transport

/// One request with a key: what it asked for, and what became of it.
struct IdempotencyRecord: Sendable {
    /// The key of the record in the journal.
    let serial: UInt64
    let organization: String
    let fingerprint: RequestFingerprint
    /// Milliseconds since the epoch.
    let openedAt: Int64
    let expiresAtEpoch: Int64
    let expiresAt: Instant
    var state = IdempotencyState.started
    /// `nil` if the request has no lease.
    var work: IdempotencyWork?
    /// Learns what becomes of the lease; `nil` if there is no lease that could tell.
    var follower: LeaseWaiter?
    /// Requests with the same key that wait for the response.
    var waiters: [Waiter] = []
    /// Whether the request was admitted, so that its work may begin. Only then the journal has the record, and other requests find it.
    var hasBegun = false
    /// Whether its request was in progress when the process before this one ended. Only then a job that runs may be its own.
    var isFromCrash = false
    /// The memory that counts against the organization's share.
    var cost = IdempotencyRecord.baseCost

    /// The memory of a record without its response, in the table and in the journal.
    static let baseCost = 1024
    /// The maximum number of waiting requests. One caller has sent them all, so few are enough.
    static let maxWaiters = 16

    /// An event of the lease that the record has not taken over yet.
    var pendingEvent: IdempotencyState.Event? {
        switch follower?.current {
        case .job(let job): .foundJob(job)
        // While the request is in progress, its own response says so.
        case .nothing: state.phase == .uncertain ? .foundNothing : nil
        case .unknown, nil: nil
        }
    }

    /// Whether the record may be dropped now. One in progress never is.
    func isExpired(at now: Instant) -> Bool { expiresAt <= now && state.phase != .started }
}

extension IdempotencyJournalRecord {
    init(_ id: IdempotencyRecordID, _ record: IdempotencyRecord) {
        self.init(
            serial: record.serial, id: id, organization: record.organization, fingerprint: record.fingerprint,
            openedAt: record.openedAt, expiresAt: record.expiresAtEpoch, work: record.work, state: record.state)
    }
}
