internal import Synchronization

/// The limit of an upstream's endpoints that may be ejected at the same time. If most endpoints look bad, the cause is
/// probably elsewhere; if it is not, sending requests is still better than refusing all of them.
///
/// At most half of the endpoints may be ejected, rounded down. A single endpoint may be ejected if it cannot be reached
/// or does not respond: its clients then get the failure at once and not after a timeout. Statuses of a live server
/// never eject the only endpoint.
final class EjectionLimit: Sendable {
    private let state = Mutex(State())

    private struct State {
        var present: Set<ObjectIdentifier> = []
        var ejected: Set<ObjectIdentifier> = []
    }

    /// Sets the current endpoints. Others no longer count.
    func hasOnly(_ endpoints: [Endpoint]) {
        state.withLock { state in
            state.present = Set(endpoints.map(ObjectIdentifier.init))
            state.ejected.formIntersection(state.present)
        }
    }

    /// Whether `endpoint` may be ejected because of `reason`. If so, it counts as ejected from now on.
    func mayEject(_ endpoint: Endpoint, because reason: CircuitBreaker.Reason) -> Bool {
        let identity = ObjectIdentifier(endpoint)
        return state.withLock { state in
            var isStatus = false
            if case .status = reason { isStatus = true }
            guard state.present.count > 1 else { return !isStatus }
            guard !state.ejected.contains(identity) else { return true }
            guard state.ejected.count < state.present.count / 2 else { return false }
            // An endpoint that is no longer one of the upstream's does not count.
            if state.present.contains(identity) { state.ejected.insert(identity) }
            return true
        }
    }

    /// `endpoint` was ejected or readmitted, by requests or by health checks.
    func record(_ endpoint: Endpoint, isEjected: Bool) {
        let identity = ObjectIdentifier(endpoint)
        state.withLock { state in
            if !isEjected {
                state.ejected.remove(identity)
            } else if state.present.contains(identity) {
                state.ejected.insert(identity)
            }
        }
    }
}
