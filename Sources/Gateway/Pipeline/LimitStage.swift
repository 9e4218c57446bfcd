internal import HTTP
internal import Policy
internal import Transport

// The limits of a request are taken in two steps, each all at once or not at all. Those on calls count every attempt: they are
// charged when it is known who calls, whatever becomes of the request. Those on work, and those per connection, are charged
// when the body has been read; before that they are looked at, so that a client which is refused anyway does not send one.
extension Worker {
    /// Charges the limits that count attempts. Also looks at the other limits, so that a request which is bound to be refused is
    /// refused before its body is read.
    func takeAttempt(_ grant: Grant, _ connection: borrowing ServerConnection, _ exchange: inout Exchange)
        throws(Failure)
    {
        guard !grant.limits.isEmpty else { return }
        fill(&exchange, grant.limits, subject(of: grant, exchange))
        try chargeAttempt(&exchange)
        // To find the connection of a job the upstream is asked.
        guard !connection.head.framing.isNone || grant.route.connection == .job, exchange.batch.beginLook() else {
            return
        }
        let passes = limiter.peek(&exchange.batch, now: loop.now.nanoseconds)
        if !passes { throw refusal(&exchange) }
    }

    /// The caller may not do this, but has tried: that counts like any other attempt.
    func takeAttempt(_ refusal: Refusal, _ exchange: inout Exchange) throws(Failure) {
        guard case .insufficientScope(let route, let principal, let organization, _) = refusal else { return }
        let rules = organization.limits(on: route, now: epochSeconds)
        guard !rules.isEmpty else { return }
        fill(
            &exchange, rules,
            BucketSubject(organization: organization.key, token: principal.key, operation: route.key))
        try chargeAttempt(&exchange)
    }

    private func chargeAttempt(_ exchange: inout Exchange) throws(Failure) {
        guard exchange.batch.beginAttempt() else { return }
        try take(&exchange)
    }

    /// Charges the limits that `takeAttempt` left.
    func takeWork(_ grant: Grant, _ exchange: inout Exchange) throws(Failure) {
        guard !grant.limits.isEmpty, exchange.batch.beginWork() else { return }
        if grant.needsConnection {
            limiter.complete(&exchange.batch, with: exchange.limits, for: subject(of: grant, exchange))
        }
        try take(&exchange)
    }

    private func take(_ exchange: inout Exchange) throws(Failure) {
        let isAdmitted = limiter.take(&exchange.batch, now: loop.now.nanoseconds)
        if !isAdmitted { throw refusal(&exchange) }
        countExceeded(exchange)
    }

    private func refusal(_ exchange: inout Exchange) -> Failure {
        countExceeded(exchange)
        return limitFailure(exchange)
    }

    /// Counts only the limits that are due in this step, so that none is counted twice.
    private func countExceeded(_ exchange: borrowing Exchange) {
        for limit in exchange.batch.limits where limit.isDue && limit.isExceeded {
            counts.limitExceeded(exchange.limits[limit.tag].name, isEnforced: limit.isEnforced)
        }
    }

    /// Gives back what was charged for work that never began. A limit on calls keeps its charge: hammering a busy
    /// connection costs calls, though no work.
    func refundWork(_ exchange: inout Exchange) {
        guard !exchange.batch.isEmpty else { return }
        limiter.refund(&exchange.batch, now: loop.now.nanoseconds)
    }

    private var limiter: RateLimiter { shared.limiter }

    private func fill(_ exchange: inout Exchange, _ rules: [LimitRule], _ subject: BucketSubject) {
        exchange.limits = rules
        limiter.fill(&exchange.batch, with: rules, for: subject)
    }

    private func subject(of grant: Grant, _ exchange: borrowing Exchange) -> BucketSubject {
        BucketSubject(
            organization: grant.organization?.key ?? 0, connection: exchange.connection ?? "",
            token: grant.principal?.key ?? 0, operation: grant.route.key)
    }

    private func limitFailure(_ exchange: borrowing Exchange) -> Failure {
        let name = exchange.batch.refusing.map { exchange.limits[$0.tag].name } ?? ""
        return Failure(.rateLimited(limit: name, retryAfterSeconds: Int(exchange.batch.retryAfterSeconds)), at: .limit)
    }
}
