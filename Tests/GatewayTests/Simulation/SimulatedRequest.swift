import Policy
import Transport

@testable import Gateway

/// What a client wants. It may send it several times.
struct Intent: Equatable {
    let subject: Int
    var body: Int
    let connection: String
    let kind: String
    let onConflict: ConflictRule.Response
    /// The number of its idempotency key; `nil` if it has none.
    var key: Int?

    /// The kind of requests that take no lease.
    static let plain = LeaseKind(index: .max, name: "create", lifetime: .request)

    var takesLease: Bool { kind != Self.plain.name }

    /// With an idempotency key, the key says what the same request is.
    func owner(ignoringBody: Bool) -> LeaseOwner {
        let fingerprint = RequestFingerprint(high: ignoringBody ? 0 : UInt64(body), low: 0)
        return LeaseOwner(
            subject: "o/ci-\(subject)", token: "o/ci-\(subject)", operation: kind,
            fingerprint: key == nil ? fingerprint : nil)
    }

    /// What it asks of the records; `nil` without a key.
    func claim(keepSeconds: Int, ignoringBody: Bool) -> IdempotencyClaim? {
        guard let key else { return nil }
        // The scope of a key: organization, subject, and route.
        return IdempotencyClaim(
            number: key * 10 + subject, asks: ignoringBody ? 0 : asks, organization: "o", keep: .seconds(keepSeconds))
    }

    /// Equal for requests that ask for the same.
    var asks: UInt64 { UInt64(body * 10 + (connection == SimulatedWorld.connections[0] ? 0 : 1)) }
}

/// What stays true of a request after the gateway has forgotten it.
struct RequestFacts {
    let number: Int
    let intent: Intent
    let kind: LeaseKind
    let matrix: ConcurrencyMatrix
    let resendWindow: Duration?
    let caps: [JobCap]
    let grantedAt: Int
    /// 0 without a lease.
    let generation: UInt64
    /// The record of its key, and the number of its life; `nil` without a key.
    var record: (id: IdempotencyRecordID, life: Int)?

    /// Whether the two must not run side by side: the policies of the one that got its lease later decide.
    func excludes(_ other: RequestFacts) -> Bool {
        let (earlier, later) = number < other.number ? (self, other) : (other, self)
        return later.matrix.excludes(later.kind, earlier.kind)
    }
}

/// A request that was admitted.
final class SimulatedRequest {
    enum Progress {
        case reserved
        case sent(at: Int, arrivesAt: Int)
        case answered(Answer)
    }

    enum Answer {
        case started(String)
        /// The upstream has done what was asked, and there is no job.
        case done
        /// A status that says that no work began, or leaves it open.
        case refused(Int, isTurnedAway: Bool)
    }

    let facts: RequestFacts
    let key: LeaseKey
    private let position: UInt64
    var lease: Lease?
    var record: OpenRecord?
    var limits: RateLimitBatch
    /// The limits that it was charged for.
    let charged: [ReferenceLimits.Rule]
    var progress = Progress.reserved
    /// Whether somebody at the gateway waits for its response: the gateway has not crashed, and has not given it up.
    var isAttended = true

    init(
        _ lease: consuming Lease?, _ record: OpenRecord?, _ facts: RequestFacts, limits: RateLimitBatch,
        charged: [ReferenceLimits.Rule]
    ) {
        key = LeaseKey(organization: "o", connection: facts.intent.connection)
        position = lease?.position ?? 0
        self.lease = consume lease
        self.record = record
        self.facts = facts
        self.limits = limits
        self.charged = charged
    }

    var isSent: Bool { if case .reserved = progress { false } else { true } }

    var isAnswered: Bool { if case .answered = progress { true } else { false } }

    /// Whether all that must be on the disk before it is sent is there.
    func isDurable(in gateway: SimulatedGateway) -> Bool {
        gateway.isDurable(position) && (record.map(gateway.isDurable) ?? true)
    }

    /// The gateway does not wait for its response any more.
    func abandon() {
        isAttended = false
        lease = nil
        record = nil
    }
}

/// A client that waits for something at the gateway.
struct WaitingClient {
    enum Wait {
        case job(LeaseWaiter, SharedLease)
        case turn(QueuePlace, LeaseClaim)
        /// The first request with its key.
        case first(Waiter, IdempotencyClaim)
    }

    let intent: Intent
    let wait: Wait
    /// The gateway has woken the client, which has not decided again yet.
    var isWoken = false
}
