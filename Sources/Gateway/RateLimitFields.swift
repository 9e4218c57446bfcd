package import Policy

/// The header lines that tell a client where it stands.
///
/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) list every enforced limit; the older
/// `X-RateLimit-*` name the one the client meets first, with `Reset` in epoch seconds, as clients of this API read it.
package enum RateLimitFields {
    /// Appends the lines, each with its CR LF; nothing where no enforced limit applies.
    ///
    /// `rules` are those the batch was filled from. `family` adds the `RateLimit-Limit` group Airweave's clients know.
    package static func append(
        _ batch: RateLimitBatch, rules: [LimitRule], family: RouteFamily, epochMilliseconds: Int64,
        to buffer: inout [UInt8]
    ) {
        guard let tightest = batch.tightest, rules.indices.contains(tightest.tag) else { return }
        appendPolicies(batch, rules: rules, to: &buffer)
        appendStanding(batch, rules: rules, to: &buffer)

        let count = rules[tightest.tag].count
        let reset = (epochMilliseconds + Int64(tightest.resetAfter / 1_000_000) + 1 + 999) / 1000
        buffer.append(text: "\r\nX-RateLimit-Limit: ")
        buffer.append(decimal: count)
        buffer.append(text: "\r\nX-RateLimit-Remaining: ")
        buffer.append(decimal: tightest.remaining)
        buffer.append(text: "\r\nX-RateLimit-Reset: ")
        buffer.append(decimal: reset)
        if family == .airweave {
            buffer.append(text: "\r\nRateLimit-Limit: ")
            buffer.append(decimal: count)
            buffer.append(text: "\r\nRateLimit-Remaining: ")
            buffer.append(decimal: tightest.remaining)
            buffer.append(text: "\r\nRateLimit-Reset: ")
            buffer.append(decimal: reset)
        }
        buffer.append(text: "\r\n")
    }

    /// Whether an answer of the upstream tells how its own limits stand. Then nothing is said of ours: a client that is told
    /// two standings believes one of them, and may take the more permissive one.
    package static func areBrought(by names: some Sequence<String>) -> Bool {
        names.contains { name in
            name.begins(with: "x-ratelimit-") || name.begins(with: "x-rate-limit-") || name.begins(with: "ratelimit-")
                || name.spells("ratelimit")
        }
    }

    /// Appends the `Retry-After` line. Clients ignore anything but a whole number of at least 1.
    package static func appendRetryAfter(seconds: Int, to buffer: inout [UInt8]) {
        buffer.append(text: "Retry-After: ")
        buffer.append(decimal: max(seconds, 1))
        buffer.append(text: "\r\n")
    }

    private static func appendPolicies(_ batch: RateLimitBatch, rules: [LimitRule], to buffer: inout [UInt8]) {
        buffer.append(text: "RateLimit-Policy: ")
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced {
            if !isFirst { buffer.append(text: ", ") }
            isFirst = false
            buffer += rules[batch.limits[index].tag].policyMember
        }
    }

    private static func appendStanding(_ batch: RateLimitBatch, rules: [LimitRule], to buffer: inout [UInt8]) {
        buffer.append(text: "\r\nRateLimit: ")
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced {
            if !isFirst { buffer.append(text: ", ") }
            isFirst = false
            buffer += rules[batch.limits[index].tag].quotedName
            buffer.append(text: ";r=")
            buffer.append(decimal: batch.limits[index].remaining)
            buffer.append(text: ";t=")
            buffer.append(decimal: RateLimit.wholeSeconds(batch.limits[index].resetAfter))
        }
    }
}
