package import Policy
internal import Transport

/// The constant parts of the rate limit fields for each rule of a policy set. Only numbers change with each request.
///
/// Made once for each set, outside the event loops. A response only copies the texts.
package final class RateLimitTexts: Sendable {
    /// The constant parts for one rule.
    struct Text {
        /// The limit's member of `RateLimit-Policy` after another one: quoted name, quota and window.
        let policyMember: [UInt8]
        /// The same as the first member, with the field's name.
        let firstPolicyMember: [UInt8]
        /// The start of its member of `RateLimit` after another one: the name as a structured-field String (RFC 9651, section
        /// 3.3.3), up to the remaining number.
        let remainingStart: [UInt8]
        /// The same as the first member, with the field's name.
        let firstRemainingStart: [UInt8]
        /// `X-RateLimit-Limit: N` and `X-RateLimit-Remaining: `, each preceded by the end of the line before it.
        let legacyStart: [UInt8]
        /// The maximum length that this rule adds to a response: its texts, the numbers, and the separators.
        let maxBytes: Int

        init(_ rule: LimitRule) {
            let policy = "\"\(rule.name)\";q=\(rule.count);w=\(rule.periodSeconds)"
            policyMember = Array(", \(policy)".utf8)
            firstPolicyMember = Array("\r\nRateLimit-Policy: \(policy)".utf8)
            let remaining = "\"\(rule.name)\";r="
            remainingStart = Array(", \(remaining)".utf8)
            firstRemainingStart = Array("\r\nRateLimit: \(remaining)".utf8)
            legacyStart = Array("\r\nX-RateLimit-Limit: \(rule.count)\r\nX-RateLimit-Remaining: ".utf8)
            maxBytes =
                firstPolicyMember.count + firstRemainingStart.count + legacyStart.count
                + RateLimitFields.maxBytesBetweenTexts
        }
    }

    /// By ``LimitRule/position``.
    private let texts: [Text]

    /// `rules` are all rules of a set, in the order of their positions.
    package init(_ rules: [LimitRule]) {
        texts = rules.map(Text.init)
    }

    subscript(rule: LimitRule) -> Text { texts[rule.position] }

    /// Appends the member of `RateLimit-Policy` of the rule at `position`.
    func appendPolicy(at position: Int, isFirst: Bool, to output: inout OutputSpan<UInt8>) {
        if isFirst {
            output.append(copying: texts[position].firstPolicyMember)
        } else {
            output.append(copying: texts[position].policyMember)
        }
    }

    /// Appends the start of the member of `RateLimit` of the rule at `position`.
    func appendRemainingStart(at position: Int, isFirst: Bool, to output: inout OutputSpan<UInt8>) {
        if isFirst {
            output.append(copying: texts[position].firstRemainingStart)
        } else {
            output.append(copying: texts[position].remainingStart)
        }
    }
}
