internal import Synchronization

/// How many of an upstream's endpoints may be out at once: if most of them look bad, the cause is probably
/// elsewhere; and if it is not, sending on is still better than refusing everything.
///
/// Half of them may be, rounded down. A single one may be out where no connection to it, or no answer from it, can be had: its
/// clients then learn at once what they would learn late. Statuses of a live server never take out the only one.
final class EjectionLimit: Sendable {
    private let state = Mutex(State())

    private struct State {
        var present: Set<ObjectIdentifier> = []
        var out: Set<ObjectIdentifier> = []
    }

    /// These are all there are: places of others are free.
    func hasOnly(_ endpoints: [Endpoint]) {
        state.withLock { state in
            state.present = Set(endpoints.map(ObjectIdentifier.init))
            state.out.formIntersection(state.present)
        }
    }

    /// Whether `endpoint` may be ejected because of `sign`. If so, it counts as ejected from now on.
    func mayLeave(_ endpoint: Endpoint, because sign: CircuitBreaker.Sign) -> Bool {
        let identity = ObjectIdentifier(endpoint)
        return state.withLock { state in
            var isStatus = false
            if case .status = sign { isStatus = true }
            guard state.present.count > 1 else { return !isStatus }
            guard !state.out.contains(identity) else { return true }
            guard state.out.count < state.present.count / 2 else { return false }
            // One that is none of the upstream's any more takes no place.
            if state.present.contains(identity) { state.out.insert(identity) }
            return true
        }
    }

    /// `endpoint` is out, or in use again, whoever decided it.
    func record(_ endpoint: Endpoint, isEjected: Bool) {
        let identity = ObjectIdentifier(endpoint)
        state.withLock { state in
            if !isEjected {
                state.out.remove(identity)
            } else if state.present.contains(identity) {
                state.out.insert(identity)
            }
        }
    }
}
