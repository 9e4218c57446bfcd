internal import Synchronization

/// The memory for all records, divided among organizations.
///
/// Records live for a day and are never dropped for others, so no organization can be asked to give some back. Each may therefore
/// have at most as much as is still free (the dynamic threshold of Choudhury and Hahne, 1998): one alone can use half of the
/// memory, n that use all they can get have 1/(n+1) each, and a newcomer always finds room.
final class IdempotencyShares: Sendable {
    private struct State {
        var used: [String: Int] = [:]
        var total = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) { self.capacity = capacity }

    /// Takes `bytes` for an organization, unless it would then have more than is free.
    func take(_ bytes: Int, for organization: String) -> Bool {
        state.withLock { state in
            let own = state.used[organization, default: 0] + bytes
            guard own <= capacity - state.total - bytes else { return false }
            state.used[organization] = own
            state.total += bytes
            return true
        }
    }

    /// Takes `bytes` also if there is no room: the record exists already, on disk.
    func restore(_ bytes: Int, for organization: String) {
        state.withLock { state in
            state.used[organization, default: 0] += bytes
            state.total += bytes
        }
    }

    func give(_ bytes: Int, of organization: String) {
        state.withLock { state in
            guard let own = state.used[organization] else { return }
            precondition(own >= bytes, "no more is given back than was taken")
            state.used[organization] = own == bytes ? nil : own - bytes
            state.total -= bytes
        }
    }

    /// The bytes in use, of all organizations.
    var usedBytes: Int { state.withLock { $0.total } }
}
