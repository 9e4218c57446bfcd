internal import HTTP
internal import Policy
internal import Transport

/// Charges the limits of a request in two steps. Each step charges all of its limits, or none.
///
/// Limits on calls count every attempt. They are charged as soon as the caller is known, whatever the result of the
/// request. Limits on work, and limits per connection, are charged after the body has been read. Before the body the
/// stage checks them, so that a client does not send the body of a request that will be refused.
struct LimitStage {
    let limiter: RateLimiter
    let failures: FailedAuthentications
    let counts: WorkerMetrics

    /// Charges the limits that count attempts.
    func chargeAttempt(_ grant: Grant, _ exchange: inout Exchange, now: Instant) throws(Failure) {
        guard !grant.limits.isEmpty else { return }
        fill(&exchange, grant.limits, subject(of: grant, exchange))
        try chargeCalls(&exchange, now)
    }

    /// Checks the limits that `chargeAttempt` left, without a charge. A request that they will refuse is refused before
    /// its body is read, and before the upstream is polled for the connection of its job.
    func peekWork(
        _ grant: Grant, _ request: borrowing Request, _ exchange: inout Exchange, now: Instant
    ) throws(Failure) {
        guard !request.head.framing.isNone || grant.route.connection == .job else { return }
        // Only the body shows whether the job of another request is the response. Then nothing is charged. A poll of the upstream
        // is dearer than that.
        if grant.route.mayShareJob, grant.route.connection != .job, request.head.framing.isAtMost(LimitStage.shortBody)
        {
            return exchange.mark(.limit)
        }
        if !grant.limits.isEmpty, exchange.batch.beginLook() {
            let passes = limiter.peek(&exchange.batch, now: now.nanoseconds)
            if !passes {
                throw Failure(.rateLimited(refusal(exchange)), at: .limit)
            }
        }
        // The stages between this and `chargeWork` may take long. Their time does not count as this stage's.
        exchange.mark(.limit)
    }

    /// Looks at all limits of a request that only asks what would happen. Returns whether they would admit it.
    func look(at grant: Grant, _ exchange: inout Exchange, now: Instant) -> Bool {
        guard !grant.limits.isEmpty else { return true }
        fill(&exchange, grant.limits, subject(of: grant, exchange))
        return limiter.peek(&exchange.batch, now: now.nanoseconds)
    }

    /// Reading a body up to this size costs less than it would save.
    private static let shortBody: UInt64 = 65_536

    /// The caller lacks a scope. The attempt counts like any other.
    func chargeAttempt(_ refusal: Refusal, _ exchange: inout Exchange, now: Instant, epochSeconds: Int64)
        throws(Failure)
    {
        guard case .insufficientScope(let route, let principal, let organization, _) = refusal else { return }
        let rules = organization.limits(on: route, now: epochSeconds)
        guard !rules.isEmpty else { return }
        fill(
            &exchange, rules,
            BucketSubject(organization: organization.key, token: principal.key, operation: route.key))
        try chargeCalls(&exchange, now)
    }

    /// The credential is invalid. A request without one is not counted: many clients send their credential only when they are
    /// asked for it (RFC 9110, section 11.6.1).
    func chargeFailure(
        _ refusal: Refusal, _ request: borrowing Request, _ exchange: borrowing Exchange, now: Instant
    ) throws(Failure) {
        guard case .unauthenticated(_, let reason) = refusal, reason.isOfInvalidCredential,
            let limit = exchange.policies.set.settings.failedAuthentications
        else { return }
        let client = ClientAddress.find(request.peer, exchange.policies, request.head, request.headBytes)
        guard let refused = failures.charge(client, limit, now: now.nanoseconds) else { return }
        let name = FailedAuthentications.name
        counts.limitExceeded(name, isEnforced: true)
        let violated = ViolatedLimit(refused, name: name, quota: limit.count, window: limit.periodSeconds)
        let refusal = LimitRefusal(limit: name, retryAfterSeconds: violated.retryAfterSeconds, violated: [violated])
        throw Failure(.authenticationsLimited(refusal), at: .authenticate)
    }

    /// Charges the limits that `chargeAttempt` left.
    func chargeWork(_ grant: Grant, _ exchange: inout Exchange, now: Instant) throws(Failure) {
        if !grant.limits.isEmpty, exchange.batch.beginWork() {
            if grant.needsConnection {
                limiter.complete(&exchange.batch, with: exchange.limits, for: subject(of: grant, exchange))
            }
            guard limiter.take(&exchange.batch, now: now.nanoseconds) else {
                throw Failure(.rateLimited(refusal(exchange)), at: .admit)
            }
            count(exchange)
        }
        exchange.mark(.admit)
    }

    /// The limits that `chargeAttempt` left, for a store that charges them together with a lease. ``endWork(_:_:)`` takes them back.
    func beginWork(_ grant: Grant, _ exchange: inout Exchange) -> RateLimitBatch {
        if !grant.limits.isEmpty, exchange.batch.beginWork(), grant.needsConnection {
            limiter.complete(&exchange.batch, with: exchange.limits, for: subject(of: grant, exchange))
        }
        return exchange.batch.take()
    }

    /// Takes the limits back, with the store's results.
    func endWork(_ limits: consuming RateLimitBatch, _ exchange: inout Exchange) { exchange.batch = limits }

    /// Refunds the charge for work that never began. A limit on calls keeps its charge, because repeated calls on a
    /// busy connection are calls, although they are no work.
    func refundWork(_ exchange: inout Exchange, now: Instant) {
        guard !exchange.batch.isEmpty else { return }
        limiter.refund(&exchange.batch, now: now.nanoseconds)
    }

    private func chargeCalls(_ exchange: inout Exchange, _ now: Instant) throws(Failure) {
        guard exchange.batch.beginAttempt() else { return }
        guard limiter.take(&exchange.batch, now: now.nanoseconds) else {
            throw Failure(.rateLimited(refusal(exchange)), at: .limit)
        }
        count(exchange)
    }

    /// The limits that refused the request in the last step, and how long the caller has to wait. Counts them.
    func refusal(_ exchange: borrowing Exchange) -> LimitRefusal {
        count(exchange)
        var violated: [ViolatedLimit] = []
        for limit in exchange.batch.limits where limit.isDue && limit.isRefusing {
            let rule = exchange.limits[limit.tag]
            violated.append(
                ViolatedLimit(limit, name: rule.name, quota: rule.count, window: rule.periodSeconds))
        }
        let name = exchange.batch.refusing.map { exchange.limits[$0.tag].name } ?? ""
        return LimitRefusal(
            limit: name, retryAfterSeconds: Int(exchange.batch.retryAfterSeconds), violated: violated)
    }

    /// Counts the limits that the request exceeded, and those that it has nearly used up. Only limits that are due in this
    /// step, so that none is counted twice.
    func count(_ exchange: borrowing Exchange) {
        for index in exchange.batch.limits.indices where exchange.batch.limits[index].isDue {
            guard exchange.batch.limits[index].isExceeded || exchange.batch.limits[index].isNear else { continue }
            count(exchange.batch.limits[index], exchange.limits)
        }
    }

    // Not inlined: few requests come near a limit.
    @inline(never)
    private func count(_ limit: RateLimit, _ rules: [LimitRule]) {
        let name = rules[limit.tag].name
        if limit.isExceeded {
            counts.limitExceeded(name, isEnforced: limit.isEnforced)
        } else {
            counts.limitNear(name, isEnforced: limit.isEnforced)
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

extension ViolatedLimit {
    fileprivate init(_ limit: RateLimit, name: String, quota: Int, window: Int) {
        self.init(
            name: name, quota: quota, window: window, remaining: Int(clamping: limit.remaining),
            retryAfterSeconds: Int(clamping: max(1, RateLimit.wholeSeconds(limit.retryAfter))))
    }
}

extension CredentialFailure {
    /// Whether the request has a credential, and it is wrong.
    fileprivate var isOfInvalidCredential: Bool {
        switch self {
        case .malformed, .unknown, .expired: true
        case .missing, .ambiguous: false
        }
    }
}
