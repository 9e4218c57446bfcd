import Testing

@testable import Gateway

@Suite("Retry-After")
struct RetryAfterTests {
    private static let now: Int64 = 1_700_000_000

    @Test(
        "RetryAfter: any form becomes whole seconds, at least one; garbage nothing",
        arguments: [
            ("17", 17), (" 17\t", 17), ("0", 1), ("-5", 1), ("-0.5", 1), ("0.0", 1), ("0.2", 1), ("12.34", 13),
            ("12.000", 12), ("007", 7), ("2147483648", 86_400), ("99999999999999999999", 86_400),
            ("99999999999999999999.5", 86_400),
            ("Tue, 14 Nov 2023 22:13:50 GMT", 30), ("Tue, 14 Nov 2023 22:13:20 GMT", 1),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 1), ("Tuesday, 14-Nov-23 22:13:50 GMT", 30),
            ("Tue Nov 14 22:13:50 2023", 30), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
            ("", nil), (" ", nil), ("soon", nil), ("5s", nil), ("+5", nil), ("1e3", nil), ("5,7", nil), (".5", nil),
            ("5.", nil), ("1.2.3", nil), ("--5", nil), ("-", nil), ("0x10", nil), ("5 7", nil), ("\u{665}", nil),
            ("Tue, 14 Nov 2023 22:13:50 PST", nil), (String(repeating: "9", count: 65), nil),
        ] as [(String, Int?)])
    func values(value: String, seconds: Int?) {
        #expect(RetryAfter.seconds(value, epochSeconds: Self.now) == seconds)
    }

    @Test("RetryAfter: the first readable line counts")
    func lines() {
        func told(_ fields: [(name: String, value: String)]) -> Int? {
            RetryAfter.seconds(in: fields, epochSeconds: Self.now)
        }
        #expect(told([("X", "1"), ("RETRY-AFTER", "x"), ("Retry-After", "3"), ("Retry-After", "4")]) == 3)
        #expect(told([("X-RateLimit-Retry-After", "3")]) == nil)
        #expect(told([]) == nil)
    }

    static let resets: [([(name: String, value: String)], Int?)] = [
        ([("RateLimit-Reset", "30")], 30),
        ([("ratelimit-reset", "1700000030")], 30),
        ([("RateLimit-Reset", "1700000030.2")], 31),
        ([("X-RateLimit-Reset", "1700000030500")], 30),
        ([("X-Rate-Limit-Reset", "30")], 30),
        ([("X-RateLimit-Reset", "1640995200")], 1),
        ([("X-RateLimit-Reset", "0")], 1),
        ([("X-RateLimit-Reset", "1000000000")], 86_400),
        ([("X-RateLimit-Reset", "1000000001")], 1),
        ([("X-RateLimit-Reset", "1800000000")], 86_400),
        ([("X-RateLimit-Reset", "99999999999999999999")], 86_400),
        ([("X-RateLimit-Reset", "90000")], 86_400),
        ([("X-RateLimit-Reset", "6m0s")], nil),
        ([("X-RateLimit-Remaining", "5"), ("X-RateLimit-Reset", "30")], nil),
        ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "30")], 30),
        ([("RateLimit-Remaining", "5"), ("RateLimit-Reset", "3"), ("X-RateLimit-Reset", "30")], 30),
        ([("X-RateLimit-Retry-After", "7"), ("X-RateLimit-Reset", "30")], 7),
        ([("X-RateLimit-Retry-After", "0"), ("X-RateLimit-Reset", "30")], 30),
        ([("RateLimit", #""default";r=0;t=30"#)], 30),
        ([("RateLimit", #""a";r=0;t=30, "b";r=0;t=50, "c";r=9;t=70"#)], 50),
        ([("RateLimit", #""a";r=0;t=30"#), ("RateLimit", #""b";r=0;t=50"#)], 50),
        ([("RateLimit", #""a;r=0;t=99, \"";r=0;t=30"#)], 30),
        ([("RateLimit", #""a";r=9;t=30"#)], nil),
        ([("RateLimit", #""a";r=9;t=30"#), ("X-RateLimit-Reset", "5")], 5),
        ([("RateLimit", #""a";t=30"#)], 30),
        ([("RateLimit", #""a";r=0;t=100000"#)], 86_400),
        ([("RateLimit", "limit=10, remaining=0, reset=30")], 30),
        ([("RateLimit", "limit=10, remaining=4, reset=30")], nil),
        ([("RateLimit", "\"")], nil),
        ([("RateLimit", "")], nil),
        ([("RateLimit-Policy", #""a";q=10;w=60"#)], nil),
        ([], nil),
    ]

    @Test(
        "RetryAfter: an exhausted limit has the time to retry, as a duration or an instant", arguments: 0..<resets.count
    )
    func reset(index: Int) {
        let (fields, seconds) = Self.resets[index]
        #expect(RetryAfter.limitReset(in: fields, epochSeconds: Self.now) == seconds)
    }
}

@Suite("Limits of the upstream")
struct BroughtLimitTests {
    @Test("Upstream rate limits: only fields with the state of a limit count")
    func names() {
        for name in [
            "RateLimit", "ratelimit-policy", "RateLimit-Reset", "X-RateLimit-Limit", "x-ratelimit-reset-tokens",
        ] {
            #expect(RateLimitFields.areAmong(["X-A", name]))
        }
        for name in ["X-Request-Id", "Retry-After", "RateLimits", "X-RateLimit", "XRateLimit-Reset", ""] {
            #expect(!RateLimitFields.areAmong([name]))
        }
        #expect(!RateLimitFields.areAmong([]))
    }
}
