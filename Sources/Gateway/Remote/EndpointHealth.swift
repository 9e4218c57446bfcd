internal import Policy
internal import Transport

/// Whether an endpoint gets requests: judged by the requests it had, and by being asked now and then.
///
/// Pure: events in, one question answered. Times are points on the monotonic clock, passed in.
struct EndpointHealth: Sendable {
    private enum Circuit: Equatable, Sendable {
        case closed
        /// Nothing goes there before that moment. `tries` counts how often it was opened in a row.
        case open(until: Instant, tries: Int)
        /// One request finds out how it is.
        case trying(tries: Int)
    }

    private var circuit = Circuit.closed
    private var failuresInRow = 0
    private var goodChecks = 0
    private var badChecks = 0
    private var isCheckedOut = false
    private let breaker: UpstreamSettings.Breaker
    private let check: UpstreamSettings.HealthCheck?

    init(breaker: UpstreamSettings.Breaker, check: UpstreamSettings.HealthCheck?) {
        self.breaker = breaker
        self.check = check
    }

    /// Nothing speaks against it: no failure since the last success, and no bad check.
    var isWell: Bool { circuit == .closed && failuresInRow == 0 && badChecks == 0 && !isCheckedOut }

    /// What a request meets that wants to go there.
    enum Admission: Equatable { case admitted, refused, onTrial }

    /// Whether a request may go there now. If it is the one that finds out, no other may until it has ended.
    mutating func admission(now: Instant) -> Admission {
        guard !isCheckedOut else { return .refused }
        switch circuit {
        case .closed: return .admitted
        case .trying: return .refused
        case .open(let until, let tries):
            guard now >= until else { return .refused }
            circuit = .trying(tries: tries)
            return .onTrial
        }
    }

    /// When it can be tried again; `nil` where a request may go there now or only a check can bring it back.
    var opensAt: Instant? {
        if case .open(let until, _) = circuit { until } else { nil }
    }

    /// A request got an answer that is no failure of the endpoint: whatever was against it is forgotten.
    mutating func succeeded() {
        failuresInRow = 0
        circuit = .closed
    }

    /// A request got no answer, or one that says that the service is not there. One that began before the breaker opened says nothing about the one that tries.
    mutating func failed(onTrial isTrial: Bool = false, now: Instant) {
        failuresInRow += 1
        switch circuit {
        case .closed where failuresInRow >= breaker.failures: open(now: now, tries: 0)
        case .trying(let tries) where isTrial: open(now: now, tries: tries + 1)
        case .closed, .open, .trying: break
        }
    }

    /// The request that tried ended without telling anything, for example because its client went away.
    mutating func trialAbandoned(now: Instant) {
        if case .trying(let tries) = circuit { circuit = .open(until: now, tries: tries) }
    }

    /// The endpoint was asked. Returns whether that put it out or brought it back.
    mutating func checked(isGood: Bool) -> Bool {
        guard let check else { return false }
        if isGood {
            badChecks = 0
            goodChecks += 1
            guard goodChecks >= check.healthy, isCheckedOut || circuit != .closed else { return false }
            isCheckedOut = false
            succeeded()
            return true
        }
        goodChecks = 0
        badChecks += 1
        guard badChecks >= check.unhealthy, !isCheckedOut else { return false }
        isCheckedOut = true
        return true
    }

    private mutating func open(now: Instant, tries: Int) {
        // Checks that were good before say nothing about now.
        goodChecks = 0
        circuit = .open(until: now + breaker.openFor * (1 << min(tries, 4)), tries: tries)
    }
}
