package import Policy

extension RateLimiter {
    /// Fills `batch` with the limits of a request, in the order of `rules`; a limit's tag is its position there.
    ///
    /// A bucket is named by the rule's own key, so it survives a policy reload. `connection` is the canonical id, empty
    /// where the request names none that is known.
    package func fill(
        _ batch: inout RateLimitBatch, with rules: [LimitRule], organization: String, connection: String,
        token: String, operation: String
    ) {
        batch.removeAll()
        batch.limits.reserveCapacity(rules.count)
        for index in rules.indices {
            let rule = rules[index]
            var hasher = keyHasher
            hasher.combine(rule.key)
            hasher.combine(UInt64(rule.per.rawValue))
            if rule.per.contains(.organization) { hasher.combine(organization) }
            if rule.per.contains(.connection) { hasher.combine(connection) }
            if rule.per.contains(.token) { hasher.combine(token) }
            if rule.per.contains(.operation) { hasher.combine(operation) }
            batch.append(
                RateLimit(
                    key: hasher.finish(), count: UInt64(max(rule.count, 1)),
                    period: UInt64(max(rule.periodSeconds, 1)) * 1_000_000_000, burst: UInt64(max(rule.burst, 1)),
                    isEnforced: rule.mode == .enforce, isRefundable: rule.charge == .work, tag: index))
        }
    }
}
