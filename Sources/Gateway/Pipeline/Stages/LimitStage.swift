internal import HTTP
internal import Policy
internal import Transport

/// The limits of a request are taken in two steps, each all at once or not at all.
///
/// Those on calls count every attempt: they are charged when it is known who calls, whatever becomes of the request. Those on
/// work, and those per connection, are charged when the body has been read; before that they are looked at, so that a client
/// which is refused anyway does not send one.
struct LimitStage {
    let limiter: RateLimiter
    let counts: WorkerMetrics

    /// Charges the limits that count attempts. Also looks at the other limits, so that a request which is bound to be refused is
    /// refused before its body is read.
    func checkAttempt(
        _ grant: Grant, _ request: borrowing Request, _ exchange: inout Exchange, now: Instant
    ) throws(Failure) {
        guard !grant.limits.isEmpty else { return }
        fill(&exchange, grant.limits, subject(of: grant, exchange))
        try chargeAttempt(&exchange, now)
        // To find the connection of a job the upstream is asked.
        guard !request.head.framing.isNone || grant.route.connection == .job, exchange.batch.beginLook() else {
            return
        }
        let passes = limiter.peek(&exchange.batch, now: now.nanoseconds)
        if !passes { throw refusal(&exchange) }
    }

    /// The caller may not do this, but has tried: that counts like any other attempt.
    func checkAttempt(_ refusal: Refusal, _ exchange: inout Exchange, now: Instant, epochSeconds: Int64)
        throws(Failure)
    {
        guard case .insufficientScope(let route, let principal, let organization, _) = refusal else { return }
        let rules = organization.limits(on: route, now: epochSeconds)
        guard !rules.isEmpty else { return }
        fill(
            &exchange, rules,
            BucketSubject(organization: organization.key, token: principal.key, operation: route.key))
        try chargeAttempt(&exchange, now)
    }

    /// Charges the limits that `checkAttempt` left.
    func chargeWork(_ grant: Grant, _ exchange: inout Exchange, now: Instant) throws(Failure) {
        if !grant.limits.isEmpty, exchange.batch.beginWork() {
            if grant.needsConnection {
                limiter.complete(&exchange.batch, with: exchange.limits, for: subject(of: grant, exchange))
            }
            try charge(&exchange, now)
        }
        exchange.mark(.limit)
    }

    /// Gives back what was charged for work that never began. A limit on calls keeps its charge: hammering a busy
    /// connection costs calls, though no work.
    func refundWork(_ exchange: inout Exchange, now: Instant) {
        guard !exchange.batch.isEmpty else { return }
        limiter.refund(&exchange.batch, now: now.nanoseconds)
    }

    private func chargeAttempt(_ exchange: inout Exchange, _ now: Instant) throws(Failure) {
        guard exchange.batch.beginAttempt() else { return }
        try charge(&exchange, now)
    }

    private func charge(_ exchange: inout Exchange, _ now: Instant) throws(Failure) {
        let isAdmitted = limiter.take(&exchange.batch, now: now.nanoseconds)
        if !isAdmitted { throw refusal(&exchange) }
        countExceeded(exchange)
    }

    private func refusal(_ exchange: inout Exchange) -> Failure {
        countExceeded(exchange)
        let name = exchange.batch.refusing.map { exchange.limits[$0.tag].name } ?? ""
        return Failure(.rateLimited(limit: name, retryAfterSeconds: Int(exchange.batch.retryAfterSeconds)), at: .limit)
    }

    /// Counts only the limits that are due in this step, so that none is counted twice.
    private func countExceeded(_ exchange: borrowing Exchange) {
        for limit in exchange.batch.limits where limit.isDue && limit.isExceeded {
            counts.limitExceeded(exchange.limits[limit.tag].name, isEnforced: limit.isEnforced)
        }
    }

    private func fill(_ exchange: inout Exchange, _ rules: [LimitRule], _ subject: BucketSubject) {
        exchange.limits = rules
        limiter.fill(&exchange.batch, with: rules, for: subject)
    }

    private func subject(of grant: Grant, _ exchange: borrowing Exchange) -> BucketSubject {
        BucketSubject(
            organization: grant.organization?.key ?? 0, connection: exchange.connectionID ?? "",
            token: grant.principal?.key ?? 0, operation: grant.route.key)
    }
}
