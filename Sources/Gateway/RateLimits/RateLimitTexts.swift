package import Policy

/// The constant parts of the rate limit fields for each rule of a policy set. Only numbers change with each request.
///
/// Made once for each set, outside the event loops. A response only copies the texts.
package final class RateLimitTexts: Sendable {
    /// The constant parts for one rule.
    struct Text {
        /// The limit's member of `RateLimit-Policy`: quoted name, quota and window.
        let policyMember: [UInt8]
        /// The start of its member of `RateLimit`: the name as a structured-field String (RFC 9651, section 3.3.3), up
        /// to the remaining number.
        let remainingStart: [UInt8]
        /// `X-RateLimit-Limit: N` and `X-RateLimit-Remaining: `, each preceded by the end of the line before it.
        let legacyStart: [UInt8]
        /// The maximum length that this rule adds to a response: its texts, the numbers, and the separators.
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
