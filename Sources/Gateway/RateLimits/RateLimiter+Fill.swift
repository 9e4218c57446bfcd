package import Policy

extension RateLimiter {
    /// Fills `batch` with the limits of a request, in the order of `rules`. The tag of a limit is its index in `rules`.
    ///
    /// The name of a bucket contains the rule's own key, so the bucket survives a reload of the policies.
    package func fill(_ batch: inout RateLimitBatch, with rules: [LimitRule], for request: BucketSubject) {
        batch.removeAll()
        batch.limits.reserveCapacity(rules.count)
        for index in rules.indices {
            let rule = rules[index]
            batch.append(
                RateLimit(
                    key: key(of: rule, for: request), pace: rule.pace,
                    isEnforced: rule.mode == .enforce, isRefundable: rule.charge == .work,
                    isPerConnection: rule.per.contains(.connection), tag: index))
        }
    }

    /// Sets the keys of the limits per connection. For a batch that was filled before the connection was known.
    package func complete(_ batch: inout RateLimitBatch, with rules: [LimitRule], for request: BucketSubject) {
        for index in batch.limits.indices where batch.limits[index].isPerConnection {
            batch.limits[index].key = key(of: rules[batch.limits[index].tag], for: request)
        }
    }

    private func key(of rule: LimitRule, for request: BucketSubject) -> BucketKey {
        var hasher = keyHasher
        hasher.combine(rule.key)
        hasher.combine(UInt64(rule.per.rawValue))
        if rule.per.contains(.organization) { hasher.combine(request.organization) }
        if rule.per.contains(.connection) { hasher.combine(request.connection) }
        if rule.per.contains(.token) { hasher.combine(request.token) }
        if rule.per.contains(.operation) { hasher.combine(request.operation) }
        return hasher.finish()
    }
}
