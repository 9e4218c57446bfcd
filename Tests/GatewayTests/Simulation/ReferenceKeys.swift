@testable import Gateway

/// What is true of each idempotency key, and what clients were told: the reference for the records.
struct ReferenceKeys {
    /// A key from its first request to the end of its time.
    struct Life {
        let number: Int
        let asks: UInt64
        /// In milliseconds of the simulation, and of the gateway's time of day.
        var expiresAt: Int
        let expiresAtEpoch: Int64
        /// What the upstream has done for it: jobs, or the number of a request without one.
        var executions: [String] = []
        /// The final response that its client got.
        var response: StoredResponse?
        /// The response was sent again, whole. So it must be again, unless the gateway crashes.
        var isReplayed = false
        /// The job that its later requests were answered with.
        var job: String?
        /// The gateway has crashed since the request was admitted, and may have lost what the disk did not have yet.
        var hasCrashed = false
    }

    private(set) var lives: [IdempotencyRecordID: Life] = [:]
    private var nextLife = 1

    /// The key while its time is not over.
    func life(_ id: IdempotencyRecordID, at now: Int) -> Life? { lives[id].flatMap { now < $0.expiresAt ? $0 : nil } }

    /// A record begins. Returns the number of its life.
    mutating func begin(_ claim: IdempotencyClaim, asking asks: UInt64, at now: Int, _ moment: Moment) -> Int {
        let keep = Int(claim.keep.components.seconds) * 1000
        lives[claim.id] = Life(
            number: nextLife, asks: asks, expiresAt: now + keep,
            expiresAtEpoch: moment.epochMilliseconds + Int64(keep))
        nextLife += 1
        return nextLife - 1
    }

    mutating func change(_ id: IdempotencyRecordID, _ number: Int, _ change: (inout Life) -> Void) {
        if lives[id]?.number == number, var life = lives[id] {
            change(&life)
            lives[id] = life
        }
    }

    /// The gateway starts again. It knows only from the time of day how long a record is still kept.
    mutating func restart(at now: Int, _ moment: Moment) {
        for id in lives.keys {
            guard var life = lives[id], now < life.expiresAt else { continue }
            let left = Int(life.expiresAtEpoch - moment.epochMilliseconds)
            life.expiresAt = left > 0 ? now + left : 0
            life.hasCrashed = true
            life.isReplayed = false
            lives[id] = life
        }
    }
}
