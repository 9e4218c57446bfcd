internal import Policy
internal import Transport

/// The number of retries that are allowed: a percentage of all requests, but at least a few per second. The limit keeps
/// retries from becoming the load that keeps an upstream down.
struct RetryBudget: Sendable {
    private let settings: UpstreamSettings.RetryBudget
    private var window: UInt64 = 0
    private var requests = 0
    private var retries = 0

    /// Requests and retries are counted over windows of this length.
    private static let windowNanoseconds: UInt64 = 10_000_000_000
    private static let windowSeconds = 10

    init(_ settings: UpstreamSettings.RetryBudget) { self.settings = settings }

    mutating func requestBegan(now: Instant) {
        turn(now)
        requests += 1
    }

    /// Counts a retry if it is within the budget.
    mutating func take(now: Instant) -> Bool {
        turn(now)
        let allowed = max(requests * settings.percent / 100, settings.minPerSecond * RetryBudget.windowSeconds)
        guard retries < allowed else { return false }
        retries += 1
        return true
    }

    private mutating func turn(_ now: Instant) {
        let current = now.nanoseconds / RetryBudget.windowNanoseconds
        guard current != window else { return }
        window = current
        requests = 0
        retries = 0
    }
}
