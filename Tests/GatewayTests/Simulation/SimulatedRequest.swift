import Policy
import Transport

@testable import Gateway

/// What a client wants. It may send it several times.
struct Intent: Equatable {
    let subject: Int
    let body: Int
    let connection: String
    let kind: String
    let onConflict: ConflictRule.Response

    var owner: LeaseOwner {
        LeaseOwner(
            subject: "o/ci-\(subject)", token: "o/ci-\(subject)", operation: kind,
            fingerprint: RequestFingerprint(high: UInt64(body), low: 0))
    }
}

/// What stays true of a request after the gateway has forgotten it.
struct RequestFacts {
    let number: Int
    let intent: Intent
    let kind: LeaseKind
    let matrix: ConcurrencyMatrix
    let resendWindow: Duration?
    let grantedAt: Int
    let generation: UInt64

    /// Whether the two must not run side by side: the policies of the one that got its lease later decide.
    func excludes(_ other: RequestFacts) -> Bool {
        let (earlier, later) = number < other.number ? (self, other) : (other, self)
        return later.matrix.excludes(later.kind, earlier.kind)
    }
}

/// A request that has a lease, or had one until its gateway crashed.
final class SimulatedRequest {
    enum Progress {
        case reserved
        case sent(at: Int, arrivesAt: Int)
        case answered(Answer)
    }

    enum Answer {
        case started(String)
        /// A status that says that no work began, or leaves it open.
        case refused(Int, isTurnedAway: Bool)
    }

    let facts: RequestFacts
    let key: LeaseKey
    let position: UInt64
    var lease: Lease?
    var limits: RateLimitBatch
    var progress = Progress.reserved

    init(_ lease: consuming Lease, _ facts: RequestFacts, limits: RateLimitBatch) {
        key = lease.key
        position = lease.position
        self.lease = consume lease
        self.facts = facts
        self.limits = limits
    }

    var isSent: Bool { if case .reserved = progress { false } else { true } }
}

/// A client that waits for something at the gateway.
struct WaitingClient {
    enum Wait {
        case job(LeaseWaiter, SharedLease)
        case turn(QueuePlace, LeaseClaim)
    }

    let intent: Intent
    let wait: Wait
    /// The gateway has woken the client, which has not decided again yet.
    var isWoken = false
}
