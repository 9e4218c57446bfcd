internal import HTTP
internal import Policy
internal import Transport

// The limits of a request are taken all at once or not at all. Those that need only the head are looked at before the
// body is read, so that a client which is refused anyway does not send one; they are charged with the others.
extension Worker {
    /// Refuses at once what a limit that needs no connection would refuse later. Charges nothing.
    func checkLimits(_ grant: Grant, _ connection: borrowing ServerConnection, _ exchange: inout Exchange)
        throws(Failure)
    {
        guard !grant.limits.isEmpty, connection.head.framing != .none else { return }
        fill(
            &exchange, grant.needsConnection ? grant.limits.filter { !$0.per.contains(.connection) } : grant.limits,
            grant)
        guard limiter.peek(&exchange.batch, now: loop.now.nanoseconds) else { throw limitFailure(exchange) }
    }

    func takeLimits(_ grant: Grant, _ exchange: inout Exchange) throws(Failure) {
        guard !grant.limits.isEmpty else { return }
        // Where no connection had to be found out, what was filled for the check still holds.
        if grant.needsConnection || exchange.batch.isEmpty { fill(&exchange, grant.limits, grant) }
        let isAdmitted = limiter.take(&exchange.batch, now: loop.now.nanoseconds)
        for limit in exchange.batch.limits where limit.isExceeded {
            counts.limitExceeded(exchange.limits[limit.tag].name, isEnforced: limit.isEnforced)
        }
        guard isAdmitted else { throw limitFailure(exchange) }
    }

    /// Gives back what was charged for work that never began. A limit on calls keeps its charge: hammering a busy
    /// connection costs calls, though no work.
    func refundWork(_ exchange: inout Exchange) {
        guard !exchange.batch.isEmpty else { return }
        limiter.refund(&exchange.batch, now: loop.now.nanoseconds)
    }

    private var limiter: RateLimiter { shared.limiter }

    private func fill(_ exchange: inout Exchange, _ rules: [LimitRule], _ grant: Grant) {
        exchange.limits = rules
        limiter.fill(
            &exchange.batch, with: rules,
            for: LimitSubject(
                organization: grant.organization?.key ?? 0, connection: exchange.connection ?? "",
                token: grant.principal?.key ?? 0, operation: grant.route.key))
    }

    private func limitFailure(_ exchange: borrowing Exchange) -> Failure {
        let name = exchange.batch.refusing.map { exchange.limits[$0.tag].name } ?? ""
        return Failure(.rateLimited(limit: name, retryAfterSeconds: Int(exchange.batch.retryAfterSeconds)), at: .limit)
    }
}
