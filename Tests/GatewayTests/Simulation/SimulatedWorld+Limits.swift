import Policy
import Transport

@testable import Gateway

// What a request is charged, and which jobs may run.
extension SimulatedWorld {
    func rules(_ connection: String, cost: UInt64) -> [ReferenceLimits.Rule] {
        [
            // A unit returns after 5/3 s, which is no whole number of nanoseconds.
            ReferenceLimits.Rule(name: "organization", count: 3, period: 5_000_000_000, burst: 5, cost: cost),
            ReferenceLimits.Rule(name: connection, count: 1, period: 4_900_000_000, burst: 2),
            ReferenceLimits.Rule(
                name: "watched", count: 7, period: 30_000_000_000, burst: 3, cost: cost, isEnforced: false),
        ]
    }

    func batch(_ rules: [ReferenceLimits.Rule]) -> RateLimitBatch {
        var batch = RateLimitBatch()
        for rule in rules {
            var hasher = gateway.limiter.keyHasher
            hasher.combine(rule.name)
            batch.append(
                RateLimit(
                    key: hasher.finish(), count: rule.count, period: rule.period, burst: rule.burst, cost: rule.cost,
                    highestCost: ReferenceLimits.Rule.highestCost, isEnforced: rule.isEnforced))
        }
        return batch
    }

    /// The limiter has decided: the reference must agree, and have as many units left. Returns the limits that were charged.
    func charge(
        _ batch: RateLimitBatch, _ rules: [ReferenceLimits.Rule], isAdmitted: Bool, at time: Int
    ) -> [ReferenceLimits.Rule] {
        let charged = limits.take(rules, now: clock.instant(time).nanoseconds)
        if (charged != nil) != isAdmitted {
            violated(.limits, "\(isAdmitted ? "admitted" : "refused"), the reference says otherwise")
        }
        for (rule, limit) in zip(rules, batch.limits) where limit.remaining != limits.remaining(rule) {
            violated(.limits, "\(rule.name) has \(limit.remaining) units left, not \(limits.remaining(rule))")
        }
        return charged ?? []
    }

    /// The work of the request never began.
    func refund(_ request: SimulatedRequest) {
        counts.refunds += 1
        limits.refund(request.charged, takenAt: request.limits.takenAt, now: clock.instant.nanoseconds)
        gateway.refund(&request.limits, now: clock.instant)
    }

    /// A claim was decided: it must be refused if, and only if, as many jobs run as its caps allow.
    func checkCaps(_ claim: LeaseClaim, isAdmitted: Bool, _ refusing: JobCap? = nil) {
        guard claim.kind.lifetime == .job, let owner = claim.owner else { return }
        for cap in claim.caps where isAdmitted && gateway.running(cap, owner) > cap.max {
            violated(.caps, "\(gateway.running(cap, owner)) jobs run under the cap \(cap.name)")
        }
        if let refusing, gateway.running(refusing, owner) < refusing.max {
            violated(
                .caps, "\(gateway.running(refusing, owner)) jobs run, and the cap \(refusing.name) refuses one more")
        }
    }
}
