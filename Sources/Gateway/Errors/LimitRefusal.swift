/// Why a request is refused for its rate, and when it would pass.
package struct LimitRefusal: Equatable, Sendable {
    /// The limit with the longest wait.
    package let limit: String
    /// After this time, all limits that refused let the request pass.
    package let retryAfterSeconds: Int
    /// Every limit that refused.
    package let violated: [ViolatedLimit]

    package init(limit: String, retryAfterSeconds: Int, violated: [ViolatedLimit] = []) {
        self.limit = limit
        self.retryAfterSeconds = retryAfterSeconds
        self.violated = violated
    }
}

/// One limit that refused a request, in the terms of the fields `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers).
package struct ViolatedLimit: Equatable, Sendable {
    package let name: String
    /// The units of one window: `q`.
    package let quota: Int
    /// The length of the window in seconds: `w`.
    package let window: Int
    /// The units that are left: `r`. The request needs more.
    package let remaining: Int
    /// The whole seconds after which this limit lets the request pass: `t`.
    package let retryAfterSeconds: Int

    package init(name: String, quota: Int, window: Int, remaining: Int, retryAfterSeconds: Int) {
        self.name = name
        self.quota = quota
        self.window = window
        self.remaining = remaining
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The element of `violated_policies`.
    var members: [ErrorDetail.Member] {
        [
            .init("name", .string(name)), .init("quota", .integer(quota)), .init("window", .integer(window)),
            .init("remaining", .integer(remaining)), .init("retry_after", .integer(retryAfterSeconds)),
        ]
    }
}
