internal import Bytes
internal import Policy
internal import Transport

/// One operation that runs on a connection, or is about to.
struct LeaseEntry: Sendable {
    let serial: UInt64
    /// Greater than that of every earlier lease on the connection. The upstream gets it with the request.
    let generation: UInt64
    let kind: LeaseKind
    /// The API family whose paths show the job.
    let family: RouteFamily
    var state: LeaseState
    var job: LeaseJob?
    let since: Int64
    /// The logical time of the last change. The response to an earlier poll is too old to change the lease.
    var revision: UInt64
    /// An uncertain lease whose work the upstream accepted without naming a job.
    var isAccepted = false
    /// The request that took the lease; reported to callers that the lease refuses.
    var traceID: TraceID?
    /// Who took the lease, and for what; `nil` for a job that runs since before the gateway knew of it.
    var owner: LeaseOwner?
    /// The end of the settle time, in the state `settling`. An uncertain lease whose guessed job ended is not freed before it either.
    var settlesUntil: Instant?
    /// The response to its request was lost and the job comes from a list, so the job may belong to another request.
    var isGuess = false
    /// It had such a job, which may have been its own.
    var hadGuess = false
    /// The start of its request's path, and the longest time that the request may be at work.
    var origin = LeaseOrigin()
    /// When the request of an uncertain lease was sent; `nil` if an earlier process sent it.
    var sentAt: Instant?
    /// When the lease began; after a restart, the time of the restart.
    let beganAt: Instant
    /// Who waits for the job: later sendings of the same request, requests that share the job, and the record of an idempotency key.
    var waiters: [LeaseWaiter] = []
    /// The lease has refused a caller since the last call of ``LeaseTable/polledLeases()``.
    var isAwaited = false
}

extension LeaseEntry {
    /// Whether the request of this lease started the job, as far as the job shows. A guess can be the job of somebody else, which is no
    /// answer to the request: it must have the lease's kind as its type, and not be older than the lease. A lease that settles for a
    /// guess may have had another job, which is over.
    func mayHaveStarted(_ job: LeaseJob) -> Bool {
        guard isGuess else { return true }
        return state != .settling && job.type.spells(kind.name) && !isYounger(than: job)
    }

    /// Whether the job began too long before the lease to be its own. A job without times never shows that.
    func isYounger(than job: LeaseJob) -> Bool { job.beganAt.map { $0 < since - Self.clockTolerance } ?? false }

    /// The difference in milliseconds that the clocks of gateway and upstream may have.
    static let clockTolerance: Int64 = 60_000

    /// The maximum number of waiters: each keeps a client's connection.
    static let maxWaiters = 16

    /// Whether the settle time is over, so that the lease does not exclude anything any more.
    func hasSettled(at now: Instant) -> Bool { state == .settling && (settlesUntil.map { $0 <= now } ?? true) }
}

/// The leases on one connection: usually one; several if the matrix allows parallel operations.
struct ConnectionLeases: Sendable {
    var entries: [LeaseEntry] = []
    /// Jobs that ended before the response that names them arrived.
    var endedEarly: [String] = []
    /// The last known state of jobs that ran before the response that names them arrived.
    var seenEarly: [LeaseJob] = []
    /// The requests that wait for the connection, in the order of their arrival. A request that does not wait comes after them.
    var queue: [QueuedClaim] = []

    var isEmpty: Bool { entries.isEmpty && queue.isEmpty }
}
