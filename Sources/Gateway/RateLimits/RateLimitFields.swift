internal import Bytes
internal import HTTP
package import Policy
internal import Transport

/// The response fields that describe a client's rate limits.
///
/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) list all enforced limits. The older
/// `X-RateLimit-*` fields describe only the limit that the client reaches first, with `Reset` in epoch seconds, as
/// clients of this API expect.
package enum RateLimitFields {
    /// Makes room for the lines and appends them, as the other `append` does.
    package static func append(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, family: RouteFamily,
        epochMilliseconds: Int64, to buffer: inout [UInt8]
    ) {
        buffer.append(addingCapacity: maxBytes(batch, rules: rules, texts: texts)) { output in
            append(
                batch, rules: rules, texts: texts, family: family, epochMilliseconds: epochMilliseconds, to: &output)
        }
    }

    /// The maximum length of the lines.
    static func maxBytes(_ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts) -> Int {
        var bytes = 0
        for index in batch.limits.indices where rules.indices.contains(batch.limits[index].tag) {
            bytes += texts[rules[batch.limits[index].tag]].maxBytes
        }
        return bytes
    }

    /// The maximum length that a rule adds to a response besides its texts: field names, separators and numbers.
    static let maxBytesBetweenTexts: Int = {
        let constants = [legacyReset, limit, remaining, reset]
        let separators = 2 + 2 + 3
        let numbers = 8
        return constants.reduce(0) { $0 + $1.count } + separators + numbers * 20
    }()

    /// Appends the lines, each preceded by the CR LF that ends the line before it. Appends nothing if no enforced limit
    /// applies. `output` must have room for ``maxBytes(_:rules:texts:)``.
    ///
    /// `rules` are those that the batch was filled from, and `texts` are those of their policy set. A limit that was
    /// not checked is left out. `family` adds the `RateLimit-Limit` fields that Airweave's clients read.
    static func append(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, family: RouteFamily,
        epochMilliseconds: Int64, to output: inout OutputSpan<UInt8>
    ) {
        guard let tightest = batch.tightest, rules.indices.contains(tightest.tag) else { return }
        appendPolicies(batch, rules: rules, texts: texts, to: &output)
        appendRemaining(batch, rules: rules, texts: texts, to: &output)

        let reset = Int(epochMilliseconds + Int64(tightest.resetAfter / 1_000_000) + 1 + 999) / 1000
        output.append(copying: texts[rules[tightest.tag]].legacyStart)
        output.append(decimal: tightest.remaining)
        output.append(copying: legacyReset)
        output.append(decimal: reset)
        if family == .airweave {
            output.append(copying: limit)
            output.append(decimal: rules[tightest.tag].count)
            output.append(copying: remaining)
            output.append(decimal: tightest.remaining)
            output.append(copying: self.reset)
            output.append(decimal: reset)
        }
    }

    /// Whose limits a response describes.
    enum Source { case ours, upstreams }

    private static let legacyReset = Array("\r\nX-RateLimit-Reset: ".utf8)
    private static let limit = Array("\r\nRateLimit-Limit: ".utf8)
    private static let remaining = Array("\r\nRateLimit-Remaining: ".utf8)
    private static let reset = Array("\r\nRateLimit-Reset: ".utf8)

    /// Whether fields that describe limits are among these names, which are those of an upstream's response. Then the gateway's
    /// are left out: a client that gets two descriptions uses one of them, perhaps the more permissive one.
    package static func areAmong(_ names: some Sequence<String>) -> Bool {
        names.contains { name in
            name.begins(with: "x-ratelimit-") || name.begins(with: "x-rate-limit-") || name.begins(with: "ratelimit-")
                || name.spells("ratelimit")
        }
    }

    private static func appendPolicies(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, to output: inout OutputSpan<UInt8>
    ) {
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced && batch.limits[index].isKnown {
            texts.appendPolicy(at: rules[batch.limits[index].tag].position, isFirst: isFirst, to: &output)
            isFirst = false
        }
    }

    private static func appendRemaining(
        _ batch: RateLimitBatch, rules: [LimitRule], texts: RateLimitTexts, to output: inout OutputSpan<UInt8>
    ) {
        var isFirst = true
        for index in batch.limits.indices where batch.limits[index].isEnforced && batch.limits[index].isKnown {
            texts.appendRemainingStart(at: rules[batch.limits[index].tag].position, isFirst: isFirst, to: &output)
            isFirst = false
            output.append(decimal: batch.limits[index].remaining)
            // ";t="
            output.append(.semicolon)
            output.append(0x74)
            output.append(0x3D)
            output.append(decimal: RateLimit.wholeSeconds(batch.limits[index].resetAfter))
        }
    }
}
