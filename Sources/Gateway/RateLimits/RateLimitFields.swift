internal import Bytes
internal import HTTP
package import Policy

/// The header lines that tell a client where it stands.
///
/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) list every enforced limit; the older
/// `X-RateLimit-*` name the one the client meets first, with `Reset` in epoch seconds, as clients of this API read it.
package enum RateLimitFields {
    /// Appends the lines, each behind the CR LF that ends the line before it; nothing where no enforced limit applies.
    ///
    /// `rules` are those the batch was filled from, and `texts` are those of their policy set. A limit that was not looked at is
    /// left out. `family` adds the `RateLimit-Limit` group that Airweave's clients know.
    package static func append(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, family: RouteFamily,
        epochMilliseconds: Int64, to buffer: inout [UInt8]
    ) {
        guard let tightest = batch.tightest, rules.indices.contains(tightest.tag) else { return }
        appendPolicies(batch, rules: rules, texts: texts, to: &buffer)
        appendStanding(batch, rules: rules, texts: texts, to: &buffer)

        let reset = Int(epochMilliseconds + Int64(tightest.resetAfter / 1_000_000) + 1 + 999) / 1000
        buffer += texts[rules[tightest.tag]].olderStart
        buffer.append(decimal: tightest.remaining)
        buffer += olderReset
        buffer.append(decimal: reset)
        if family == .airweave {
            buffer += limit
            buffer.append(decimal: rules[tightest.tag].count)
            buffer += remaining
            buffer.append(decimal: tightest.remaining)
            buffer += self.reset
            buffer.append(decimal: reset)
        }
    }

    /// Whose limits the client is told.
    enum Source { case ours, upstreams }

    private static let policy = Array("\r\nRateLimit-Policy: ".utf8)
    private static let standing = Array("\r\nRateLimit: ".utf8)
    private static let comma = Array(", ".utf8)
    private static let time = Array(";t=".utf8)
    private static let olderReset = Array("\r\nX-RateLimit-Reset: ".utf8)
    private static let limit = Array("\r\nRateLimit-Limit: ".utf8)
    private static let remaining = Array("\r\nRateLimit-Remaining: ".utf8)
    private static let reset = Array("\r\nRateLimit-Reset: ".utf8)

    /// Whether an answer of the upstream tells how its own limits stand. Then nothing is said of ours: a client that is told
    /// two standings believes one of them, and may take the more permissive one.
    package static func areBrought(by names: some Sequence<String>) -> Bool {
        names.contains { name in
            name.begins(with: "x-ratelimit-") || name.begins(with: "x-rate-limit-") || name.begins(with: "ratelimit-")
                || name.spells("ratelimit")
        }
    }

    private static func appendPolicies(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, to buffer: inout [UInt8]
    ) {
        buffer += policy
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced && batch.limits[index].isKnown {
            if !isFirst { buffer += comma }
            isFirst = false
            buffer += texts[rules[batch.limits[index].tag]].policyMember
        }
    }

    private static func appendStanding(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, to buffer: inout [UInt8]
    ) {
        buffer += standing
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced && batch.limits[index].isKnown {
            if !isFirst { buffer += comma }
            isFirst = false
            buffer += texts[rules[batch.limits[index].tag]].standingStart
            buffer.append(decimal: batch.limits[index].remaining)
            buffer += time
            buffer.append(decimal: RateLimit.wholeSeconds(batch.limits[index].resetAfter))
        }
    }
}
