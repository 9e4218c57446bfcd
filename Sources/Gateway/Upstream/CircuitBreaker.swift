internal import Policy
internal import Transport

/// Whether an endpoint gets requests: judged by the requests it had, and by being asked now and then.
///
/// Pure: events in, one question answered. Times are points on the monotonic clock, passed in. What speaks against an endpoint
/// is of three kinds. No connection, or no handshake: no request had a part in that. A request without an answer: it may be the
/// request's own fault, so one organization's requests alone prove nothing while others are served. And 502, 503 and 504: a
/// server is there that wrote them, so they count only as a share of all answers, and only over several organizations.
struct CircuitBreaker: Sendable {
    private enum Circuit: Equatable, Sendable {
        case closed
        /// Nothing goes there for a while.
        case open(Opening)
        /// One request finds out how it is; if it takes long, another one may try.
        case halfOpen(Opening, probeUntil: Instant)
    }

    private struct Opening: Equatable, Sendable {
        let at: Instant
        let until: Instant
        /// Failed probes since it first opened; 0 at first.
        let failedProbes: Int
        let sign: Sign
    }

    /// What speaks against an endpoint.
    enum Sign: Equatable, Sendable {
        case unreachable(UpstreamFailure)
        case silent(UpstreamFailure)
        case status(Int)
    }

    /// What a report has changed, for the operator.
    enum Change: Equatable, Sendable {
        case out(Duration, Sign, isProbe: Bool)
        /// It would be out, but too many are.
        case kept(Sign)
        case back
    }

    private var circuit = Circuit.closed
    private var unreachableInRow = 0
    private var silentInRow = 0
    private var silent = FewOrganizations()
    private var statuses: StatusWindow?
    private var isKept = false
    private var goodChecks = 0
    private var badChecks = 0
    private var isCheckedOut = false
    private let breaker: UpstreamSettings.Breaker
    private let check: UpstreamSettings.HealthCheck?

    init(breaker: UpstreamSettings.Breaker, check: UpstreamSettings.HealthCheck?) {
        self.breaker = breaker
        self.check = check
    }

    /// Nothing speaks against it: no failure since the last success, and no bad check. Statuses are no failures.
    var isHealthy: Bool {
        circuit == .closed && unreachableInRow == 0 && silentInRow == 0 && badChecks == 0 && !isCheckedOut
    }

    /// No request goes there but one that tries.
    var isEjected: Bool { circuit != .closed || isCheckedOut }

    /// The end of the current failure window, until which good responses are counted; `nil` without recent failures.
    var countsUntil: Instant? { statuses.map { $0.began + StatusWindow.length } }

    /// What a request meets that wants to go there.
    enum Admission: Equatable { case admitted, refused, probe }

    /// Whether a request may go there now. If it is the one that finds out, no other may until it has ended, or takes too long:
    /// one slow request must not keep an endpoint out that is well again.
    ///
    /// `isNeeded`: no other endpoint is left, so the back-off is ignored: a probe may go there after `openFor`.
    mutating func admission(now: Instant, isNeeded: Bool = false) -> Admission {
        guard !isCheckedOut else { return .refused }
        switch circuit {
        case .closed: return .admitted
        case .halfOpen(let opening, let probeUntil):
            guard now >= probeUntil else { return .refused }
            circuit = .halfOpen(opening, probeUntil: now + probeTimeout)
            return .probe
        case .open(let opening):
            guard now >= earliestProbe(after: opening, isNeeded: isNeeded) else { return .refused }
            circuit = .halfOpen(opening, probeUntil: now + probeTimeout)
            return .probe
        }
    }

    private var probeTimeout: Duration { max(breaker.openFor, .seconds(1)) }

    /// When it can be tried again; `nil` where a request may go there now, is there to find out, or only a check can bring it
    /// back.
    ///
    /// `isNeeded`: see ``admission(now:isNeeded:)``.
    func opensAt(isNeeded: Bool = false) -> Instant? {
        guard !isCheckedOut else { return nil }
        return switch circuit {
        case .closed, .halfOpen: nil
        case .open(let opening): earliestProbe(after: opening, isNeeded: isNeeded)
        }
    }

    private func earliestProbe(after opening: Opening, isNeeded: Bool) -> Instant {
        isNeeded ? min(opening.until, opening.at + breaker.openFor) : opening.until
    }

    /// A request got an answer that is no failure of the endpoint: whatever was against it is forgotten.
    mutating func succeeded() -> Change? {
        let wasOut = circuit != .closed
        unreachableInRow = 0
        silentInRow = 0
        silent = FewOrganizations()
        isKept = false
        circuit = .closed
        return wasOut ? .back : nil
    }

    /// No connection, or no handshake. Failures of requests that began before the breaker opened do not fail the
    /// probe. `mayLeave` is asked last of all: it counts the endpoint as ejected.
    mutating func wasUnreachable(
        _ failure: UpstreamFailure, asProbe isProbe: Bool = false, now: Instant, mayLeave: (Sign) -> Bool
    ) -> Change? {
        unreachableInRow += 1
        return judge(.unreachable(failure), asProbe: isProbe, now: now, mayLeave)
    }

    /// A request was sent, and no answer came, or none that can be read.
    ///
    /// `servesOthers` tells whether others than these organizations were served there lately.
    mutating func didNotRespond(
        _ failure: UpstreamFailure, to organization: UInt64, asProbe isProbe: Bool = false, now: Instant,
        servesOthers: (FewOrganizations) -> Bool, mayLeave: (Sign) -> Bool
    ) -> Change? {
        silentInRow += 1
        silent.insert(organization)
        // Connections that could not be made prove enough by themselves.
        let isProven = unreachableInRow >= breaker.consecutiveFailures || silent.isFull || !servesOthers(silent)
        return judge(.silent(failure), isProven: isProven, asProbe: isProbe, now: now, mayLeave)
    }

    private mutating func judge(
        _ sign: Sign, isProven: Bool = true, asProbe isProbe: Bool, now: Instant, _ mayLeave: (Sign) -> Bool
    ) -> Change? {
        switch circuit {
        case .closed where isProven && unreachableInRow + silentInRow >= breaker.consecutiveFailures:
            if mayLeave(sign) { return open(sign, now: now, failedProbes: 0) }
            if isKept { return nil }
            isKept = true
            return .kept(sign)
        case .halfOpen(let opening, _) where isProbe:
            return open(sign, now: now, failedProbes: opening.failedProbes + 1)
        case .closed, .open, .halfOpen: return nil
        }
    }

    /// A server is there, and says that a service behind it is not: 502, 503 or 504.
    ///
    /// `good` is the running total of good responses within ``countsUntil``; it is compared with its value at the window's start.
    mutating func responded(
        status: Int, to organization: UInt64, good: Int, asProbe isProbe: Bool = false, now: Instant,
        mayLeave: (Sign) -> Bool
    ) -> Change? {
        var window = statuses ?? StatusWindow(began: now, goodBefore: good)
        if window.began + StatusWindow.length <= now { window = StatusWindow(began: now, goodBefore: good) }
        window.failures += 1
        window.organizations.insert(organization)
        statuses = window
        switch circuit {
        case .closed:
            guard window.failures >= breaker.consecutiveFailures, window.organizations.isFull,
                window.failures >= good - window.goodBefore, mayLeave(.status(status))
            else { return nil }
            return open(.status(status), now: now, failedProbes: 0)
        case .halfOpen(let opening, _) where isProbe:
            // What could not be reached, or did not answer, does.
            guard case .status = opening.sign else { return succeeded() }
            return open(.status(status), now: now, failedProbes: opening.failedProbes + 1)
        case .open, .halfOpen: return nil
        }
    }

    /// No status is counted any more if its time is over.
    mutating func forgetStatuses(now: Instant) {
        if let until = countsUntil, until <= now { statuses = nil }
    }

    /// The request that tried ended without telling anything, for example because its client went away.
    mutating func probeAbandoned(now: Instant) {
        if case .halfOpen(let opening, _) = circuit {
            circuit = .open(Opening(at: opening.at, until: now, failedProbes: opening.failedProbes, sign: opening.sign))
        }
    }

    /// The endpoint was asked. Returns whether that put it out or brought it back.
    mutating func checked(isGood: Bool) -> Bool {
        guard let check else { return false }
        if isGood {
            badChecks = 0
            goodChecks += 1
            guard goodChecks >= check.healthy, isCheckedOut || circuit != .closed else { return false }
            isCheckedOut = false
            _ = succeeded()
            return true
        }
        goodChecks = 0
        badChecks += 1
        guard badChecks >= check.unhealthy, !isCheckedOut else { return false }
        isCheckedOut = true
        return true
    }

    private mutating func open(_ sign: Sign, now: Instant, failedProbes: Int) -> Change {
        // Checks that were good before say nothing about now.
        goodChecks = 0
        statuses = nil
        let time = breaker.openFor * (1 << min(failedProbes, 4))
        circuit = .open(Opening(at: now, until: now + time, failedProbes: failedProbes, sign: sign))
        return .out(time, sign, isProbe: failedProbes > 0)
    }
}

/// The first few organizations in a row of failures: enough of them to tell that the failures are not about one organization.
/// A caller on a public route, with the key 0, may be anybody and counts as none.
struct FewOrganizations: Equatable, Sendable {
    private var keys: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private(set) var count = 0

    var isFull: Bool { count == 3 }

    func contains(_ key: UInt64) -> Bool {
        (count > 0 && keys.0 == key) || (count > 1 && keys.1 == key) || (count > 2 && keys.2 == key)
    }

    mutating func insert(_ key: UInt64) {
        guard key != 0, !isFull, !contains(key) else { return }
        switch count {
        case 0: keys.0 = key
        case 1: keys.1 = key
        default: keys.2 = key
        }
        count += 1
    }

    static func == (one: FewOrganizations, other: FewOrganizations) -> Bool {
        one.count == other.count && one.keys == other.keys
    }
}

/// The statuses that speak against an endpoint, over a while that began with the first of them.
private struct StatusWindow: Sendable {
    static let length = Duration.seconds(10)

    let began: Instant
    let goodBefore: Int
    var failures = 0
    var organizations = FewOrganizations()
}
