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
        append(prefix: "X-RateLimit-", count: count, tightest, reset: reset, to: &buffer)
        if family == .airweave { append(prefix: "RateLimit-", count: count, tightest, reset: reset, to: &buffer) }
    }

    /// Appends the `Retry-After` line. Clients ignore anything but a whole number of at least 1.
    package static func appendRetryAfter(seconds: Int, to buffer: inout [UInt8]) {
        buffer.append(text: "Retry-After: ")
        buffer.append(decimal: max(seconds, 1))
        buffer.appendLineEnd()
    }

    private static func appendPolicies(_ batch: RateLimitBatch, rules: [LimitRule], to buffer: inout [UInt8]) {
        buffer.append(text: "RateLimit-Policy: ")
        var isFirst = true
        for limit in batch.limits where limit.isEnforced {
            let rule = rules[limit.tag]
            appendItem(rule.name, isFirst: &isFirst, to: &buffer)
            buffer.append(text: ";q=")
            buffer.append(decimal: rule.count)
            buffer.append(text: ";w=")
            buffer.append(decimal: rule.periodSeconds)
        }
        buffer.appendLineEnd()
    }

    private static func appendStanding(_ batch: RateLimitBatch, rules: [LimitRule], to buffer: inout [UInt8]) {
        buffer.append(text: "RateLimit: ")
        var isFirst = true
        for limit in batch.limits where limit.isEnforced {
            appendItem(rules[limit.tag].name, isFirst: &isFirst, to: &buffer)
            buffer.append(text: ";r=")
            buffer.append(decimal: limit.remaining)
            buffer.append(text: ";t=")
            buffer.append(decimal: RateLimit.wholeSeconds(limit.resetAfter))
        }
        buffer.appendLineEnd()
    }

    /// A list member that is a String item (RFC 9651, section 3.3.3).
    private static func appendItem(_ name: String, isFirst: inout Bool, to buffer: inout [UInt8]) {
        if !isFirst { buffer.append(text: ", ") }
        isFirst = false
        buffer.append(quoted: name)
    }

    private static func append(
        prefix: String, count: Int, _ limit: RateLimit, reset: Int64, to buffer: inout [UInt8]
    ) {
        buffer.append(text: prefix)
        buffer.append(text: "Limit: ")
        buffer.append(decimal: count)
        buffer.appendLineEnd()
        buffer.append(text: prefix)
        buffer.append(text: "Remaining: ")
        buffer.append(decimal: limit.remaining)
        buffer.appendLineEnd()
        buffer.append(text: prefix)
        buffer.append(text: "Reset: ")
        buffer.append(decimal: reset)
        buffer.appendLineEnd()
    }
}

extension [UInt8] {
    /// Ends a header line.
    mutating func appendLineEnd() {
        append(0x0D)
        append(0x0A)
    }
}
