package import Policy

/// What the header fields say of each rate limit of a policy set, apart from the numbers that change with each request.
///
/// Made once for each set, outside of the event loops; a response only copies it.
package final class RateLimitTexts: Sendable {
    /// The constant parts for one rule.
    struct Text {
        /// The limit's member of `RateLimit-Policy`: quoted name, quota and window.
        let policyMember: [UInt8]
        /// How its member of `RateLimit` begins: the name as a structured-field String (RFC 9651, section 3.3.3), and what
        /// stands before the number that is left.
        let remainingStart: [UInt8]
        /// `X-RateLimit-Limit: N` and `X-RateLimit-Remaining: `, each behind the end of the line before it.
        let legacyStart: [UInt8]
        /// No response has more bytes of this rule: its texts, and the numbers and what is between them.
        let maxBytes: Int

        init(_ rule: LimitRule) {
            policyMember = Array("\"\(rule.name)\";q=\(rule.count);w=\(rule.periodSeconds)".utf8)
            remainingStart = Array("\"\(rule.name)\";r=".utf8)
            legacyStart = Array("\r\nX-RateLimit-Limit: \(rule.count)\r\nX-RateLimit-Remaining: ".utf8)
            maxBytes =
                policyMember.count + remainingStart.count + legacyStart.count + RateLimitFields.maxBytesBetweenTexts
        }
    }

    /// By ``LimitRule/position``.
    private let texts: [Text]

    /// `rules` are all rules of a set, in the order of their positions.
    package init(_ rules: [LimitRule]) {
        texts = rules.map(Text.init)
    }

    subscript(rule: LimitRule) -> Text { texts[rule.position] }
}
