internal import Policy
internal import Transport

/// Decides whether an endpoint gets requests, from the outcomes of its requests and from health checks.
///
/// Pure: callers pass events and monotonic times in. There are three kinds of reasons against an endpoint. A failed
/// connection or handshake is never the fault of a request. A request without a response may be the fault of the request,
/// so failures of one organization prove nothing while others are served. The statuses 502, 503 and 504 come from a live
/// server, so they count only over several organizations, and only if they are at least half of all responses.
struct CircuitBreaker: Sendable {
    private enum Circuit: Equatable, Sendable {
        case closed
        /// No requests go to the endpoint until `until`.
        case open(Opening)
        /// One request tests the endpoint. If it takes until `probeUntil`, another probe may start.
        case halfOpen(Opening, probeUntil: Instant)
    }

    private struct Opening: Equatable, Sendable {
        let at: Instant
        let until: Instant
        /// The number of failed probes since the circuit opened.
        let failedProbes: Int
        let reason: Reason
    }

    /// A reason against an endpoint.
    enum Reason: Equatable, Sendable {
        case unreachable(UpstreamFailure)
        case silent(UpstreamFailure)
        case status(Int)
    }

    /// The effect of an event, for the operator.
    enum Change: Equatable, Sendable {
        case ejected(Duration, Reason, isProbe: Bool)
        /// The endpoint would be ejected, but too many others are.
        case keptInUse(Reason)
        case readmitted
    }

    private var circuit = Circuit.closed
    private var unreachableInRow = 0
    private var silentInRow = 0
    private var silent = FirstOrganizations()
    private var statuses: StatusWindow?
    private var isKeptInUse = false
    private var goodChecks = 0
    private var badChecks = 0
    private var isEjectedByCheck = false
    private let breaker: UpstreamSettings.Breaker
    private let check: UpstreamSettings.HealthCheck?

    init(breaker: UpstreamSettings.Breaker, check: UpstreamSettings.HealthCheck?) {
        self.breaker = breaker
        self.check = check
    }

    /// Whether there was no failure since the last success, and no bad check. Statuses do not count as failures.
    var isHealthy: Bool {
        circuit == .closed && unreachableInRow == 0 && silentInRow == 0 && badChecks == 0 && !isEjectedByCheck
    }

    /// Whether the endpoint gets no requests except probes.
    var isEjected: Bool { circuit != .closed || isEjectedByCheck }

    /// The end of the current window of failure statuses, until which good responses are counted; `nil` without such a
    /// window.
    var countsUntil: Instant? { statuses.map { $0.began + StatusWindow.length } }

    /// Whether the endpoint takes a request.
    enum Admission: Equatable { case admitted, refused, probe }

    /// Whether a request may go to the endpoint now. After `.probe`, no other request may until the probe has ended or
    /// takes too long: one slow probe must not keep a healthy endpoint ejected.
    ///
    /// `isNeeded`: no other endpoint is left, so the back-off is ignored and a probe may start after `openFor`.
    mutating func admission(now: Instant, isNeeded: Bool = false) -> Admission {
        guard !isEjectedByCheck else { return .refused }
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

    /// When the next probe may start. `nil` if the endpoint takes requests, if a probe is in progress, or if only a
    /// health check can readmit the endpoint.
    ///
    /// `isNeeded`: see ``admission(now:isNeeded:)``.
    func opensAt(isNeeded: Bool = false) -> Instant? {
        guard !isEjectedByCheck else { return nil }
        return switch circuit {
        case .closed, .halfOpen: nil
        case .open(let opening): earliestProbe(after: opening, isNeeded: isNeeded)
        }
    }

    private func earliestProbe(after opening: Opening, isNeeded: Bool) -> Instant {
        isNeeded ? min(opening.until, opening.at + breaker.openFor) : opening.until
    }

    /// A response came that is no failure of the endpoint. Resets all failures of requests and closes the circuit.
    mutating func succeeded() -> Change? {
        let wasEjected = circuit != .closed
        unreachableInRow = 0
        silentInRow = 0
        silent = FirstOrganizations()
        isKeptInUse = false
        circuit = .closed
        return wasEjected ? .readmitted : nil
    }

    /// The connection or the handshake failed. Failures of requests that began before the circuit opened do not fail
    /// the probe. `mayEject` is called last, because it counts the endpoint as ejected.
    mutating func wasUnreachable(
        _ failure: UpstreamFailure, asProbe isProbe: Bool = false, now: Instant, mayEject: (Reason) -> Bool
    ) -> Change? {
        unreachableInRow += 1
        return judge(.unreachable(failure), asProbe: isProbe, now: now, mayEject)
    }

    /// A request was sent, and no readable response came.
    ///
    /// `servesOthers`: whether the endpoint has recently served organizations other than these.
    mutating func didNotRespond(
        _ failure: UpstreamFailure, to organization: UInt64, asProbe isProbe: Bool = false, now: Instant,
        servesOthers: (FirstOrganizations) -> Bool, mayEject: (Reason) -> Bool
    ) -> Change? {
        silentInRow += 1
        silent.insert(organization)
        // Failed connections alone are proof enough.
        let isProven = unreachableInRow >= breaker.consecutiveFailures || silent.isFull || !servesOthers(silent)
        return judge(.silent(failure), isProven: isProven, asProbe: isProbe, now: now, mayEject)
    }

    private mutating func judge(
        _ reason: Reason, isProven: Bool = true, asProbe isProbe: Bool, now: Instant, _ mayEject: (Reason) -> Bool
    ) -> Change? {
        switch circuit {
        case .closed where isProven && unreachableInRow + silentInRow >= breaker.consecutiveFailures:
            if mayEject(reason) { return open(reason, now: now, failedProbes: 0) }
            if isKeptInUse { return nil }
            isKeptInUse = true
            return .keptInUse(reason)
        case .halfOpen(let opening, _) where isProbe:
            return open(reason, now: now, failedProbes: opening.failedProbes + 1)
        case .closed, .open, .halfOpen: return nil
        }
    }

    /// The response was 502, 503 or 504: a live server says that the service behind it is not available.
    ///
    /// `good` is the running total of good responses within ``countsUntil``; the window remembers the total at its start.
    mutating func responded(
        status: Int, to organization: UInt64, good: Int, asProbe isProbe: Bool = false, now: Instant,
        mayEject: (Reason) -> Bool
    ) -> Change? {
        var window = statuses ?? StatusWindow(began: now, goodBefore: good)
        if window.began + StatusWindow.length <= now { window = StatusWindow(began: now, goodBefore: good) }
        window.failures += 1
        window.organizations.insert(organization)
        statuses = window
        switch circuit {
        case .closed:
            guard window.failures >= breaker.consecutiveFailures, window.organizations.isFull,
                window.failures >= good - window.goodBefore, mayEject(.status(status))
            else { return nil }
            return open(.status(status), now: now, failedProbes: 0)
        case .halfOpen(let opening, _) where isProbe:
            // The endpoint was unreachable or silent, and now it responds.
            guard case .status = opening.reason else { return succeeded() }
            return open(.status(status), now: now, failedProbes: opening.failedProbes + 1)
        case .open, .halfOpen: return nil
        }
    }

    /// Ends the window of failure statuses if its time is over.
    mutating func forgetStatuses(now: Instant) {
        if let until = countsUntil, until <= now { statuses = nil }
    }

    /// The probe ended without a result, for example because its client went away. The next request may be a probe.
    mutating func probeAbandoned(now: Instant) {
        if case .halfOpen(let opening, _) = circuit {
            circuit = .open(
                Opening(at: opening.at, until: now, failedProbes: opening.failedProbes, reason: opening.reason))
        }
    }

    /// A health check ended. Returns whether it ejected or readmitted the endpoint.
    mutating func checked(isGood: Bool) -> Bool {
        guard let check else { return false }
        if isGood {
            badChecks = 0
            goodChecks += 1
            guard goodChecks >= check.healthy, isEjectedByCheck || circuit != .closed else { return false }
            isEjectedByCheck = false
            _ = succeeded()
            return true
        }
        goodChecks = 0
        badChecks += 1
        guard badChecks >= check.unhealthy, !isEjectedByCheck else { return false }
        isEjectedByCheck = true
        return true
    }

    private mutating func open(_ reason: Reason, now: Instant, failedProbes: Int) -> Change {
        // Earlier good checks prove nothing now.
        goodChecks = 0
        statuses = nil
        let time = breaker.openFor * (1 << min(failedProbes, 4))
        circuit = .open(Opening(at: now, until: now + time, failedProbes: failedProbes, reason: reason))
        return .ejected(time, reason, isProbe: failedProbes > 0)
    }
}

/// The first three organizations in a row of failures: enough to show that the failures are not about one organization.
/// Callers on public routes have the key 0 and do not count, because they can be anybody.
struct FirstOrganizations: Equatable, Sendable {
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

    static func == (one: FirstOrganizations, other: FirstOrganizations) -> Bool {
        one.count == other.count && one.keys == other.keys
    }
}

/// A window of 502, 503 and 504 responses, which begins with the first of them.
private struct StatusWindow: Sendable {
    static let length = Duration.seconds(10)

    let began: Instant
    let goodBefore: Int
    var failures = 0
    var organizations = FirstOrganizations()
}
