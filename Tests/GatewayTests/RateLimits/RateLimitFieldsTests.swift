import Policy
import Testing

@testable import Gateway

private let second: UInt64 = 1_000_000_000
private let start: UInt64 = 1_000 * second

@Suite("Rate limit fields")
struct RateLimitFieldsTests {
    private let limiter = RateLimiter()
    private let rules = [
        LimitRule(
            name: "trigger-per-connection", index: 0, per: [.organization, .connection], count: 6, periodSeconds: 60,
            burst: 3),
        LimitRule(
            name: "trigger-per-org", index: 1, per: .organization, count: 60, periodSeconds: 60, burst: 20, position: 1),
        LimitRule(
            name: "calls", index: 2, per: .token, count: 600, periodSeconds: 60, burst: 1, mode: .observe,
            charge: .calls, position: 2),
    ]

    private func batch(connection: String = "conn_1", token: UInt64 = 2) -> RateLimitBatch {
        var batch = RateLimitBatch()
        limiter.fill(
            &batch, with: rules,
            for: BucketSubject(organization: 1, connection: connection, token: token, operation: 3))
        return batch
    }

    private func lines(_ batch: RateLimitBatch, family: RouteFamily = .aitronos, at epoch: Int64 = 1_000_000)
        -> [String]
    {
        var bytes: [UInt8] = []
        RateLimitFields.append(
            batch, rules: rules, texts: RateLimitTexts(rules), family: family, epochMilliseconds: epoch, to: &bytes)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    @Test("RateLimitFields: every enforced limit is listed, and the tightest stands in the older fields")
    func admitted() {
        var batch = batch()
        #expect(limiter.take(&batch, now: start))
        #expect(
            lines(batch) == [
                #"RateLimit-Policy: "trigger-per-connection";q=6;w=60, "trigger-per-org";q=60;w=60"#,
                #"RateLimit: "trigger-per-connection";r=2;t=10, "trigger-per-org";r=19;t=1"#,
                "X-RateLimit-Limit: 6", "X-RateLimit-Remaining: 2", "X-RateLimit-Reset: 1011",
            ])
        #expect(lines(batch, family: .airweave).suffix(3).first == "RateLimit-Limit: 6")
        #expect(lines(batch, family: .airweave).count == 8)
    }

    @Test("RateLimitFields: after a refusal Reset and t are when the next request passes")
    func refused() {
        var batch = batch()
        for _ in 0..<3 { #expect(limiter.take(&batch, now: start)) }
        #expect(!limiter.take(&batch, now: start + 4 * second))
        #expect(batch.retryAfterSeconds == 6)
        let lines = lines(batch, at: 1_000_500)
        #expect(lines[1].hasPrefix(#"RateLimit: "trigger-per-connection";r=0;t=6"#))
        #expect(lines[3] == "X-RateLimit-Remaining: 0")
        // 1000.5 + 6 = 1006.5: a whole second later, never earlier.
        #expect(lines[4] == "X-RateLimit-Reset: 1007")
    }

    @Test("RateLimitFields: an unlimited request has no fields, and an observed limit is not advertised")
    func none() {
        #expect(lines(RateLimitBatch()).isEmpty)
        let observed = [
            LimitRule(name: "o", index: 0, per: .token, count: 1, periodSeconds: 1, burst: 1, mode: .observe)
        ]
        var batch = RateLimitBatch()
        limiter.fill(&batch, with: observed, for: BucketSubject(organization: 1, token: 2, operation: 3))
        #expect(limiter.take(&batch, now: start))
        var bytes: [UInt8] = []
        RateLimitFields.append(
            batch, rules: observed, texts: RateLimitTexts(observed), family: .aitronos, epochMilliseconds: 0, to: &bytes
        )
        #expect(bytes.isEmpty)
    }

    @Test("RateLimitFields: buckets are per what the rule says, and survive a reload of the rules")
    func subjects() {
        var first = batch()
        for _ in 0..<3 { #expect(limiter.take(&first, now: start)) }
        var other = batch(connection: "conn_2")
        #expect(limiter.take(&other, now: start))
        #expect(other.limits[0].remaining == 2)
        #expect(other.limits[1].remaining == 16)
        #expect(other.limits[2].isExceeded)
        var otherToken = batch(connection: "conn_1", token: 4)
        #expect(!limiter.take(&otherToken, now: start))
        #expect(!otherToken.limits[2].isExceeded)

        let reloaded = [
            LimitRule(
                name: "trigger-per-connection", index: 7, per: [.organization, .connection], count: 6,
                periodSeconds: 60, burst: 3)
        ]
        var after = RateLimitBatch()
        limiter.fill(
            &after, with: reloaded, for: BucketSubject(organization: 1, connection: "conn_1", token: 2, operation: 3))
        #expect(!limiter.take(&after, now: start))
    }

    @Test("RateLimitFields: only work that never began is refunded; calls stay counted")
    func refund() {
        let rules = [
            LimitRule(name: "work", index: 0, per: .organization, count: 6, periodSeconds: 60, burst: 3),
            LimitRule(name: "calls", index: 1, per: .token, count: 6, periodSeconds: 60, burst: 3, charge: .calls),
        ]
        var batch = RateLimitBatch()
        for _ in 0..<3 {
            limiter.fill(&batch, with: rules, for: BucketSubject(organization: 1, token: 2, operation: 3))
            #expect(limiter.take(&batch, now: start))
            limiter.refund(&batch, now: start)
            #expect(batch.limits[0].remaining == 3)
        }
        #expect(batch.limits[1].remaining == 0)
        #expect(!limiter.take(&batch, now: start))
    }
}
