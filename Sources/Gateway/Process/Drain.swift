internal import Synchronization

/// How far the process is on its way to its end. All workers and the admin interface read this one value.
final class Drain: Sendable {
    enum State: UInt8 {
        case serving
        /// `/readyz` fails, and each response is the last one of its connection: clients go elsewhere and lose no request.
        case announced
        /// A connection also ends as soon as nothing is under way on it.
        case closing
    }

    private let current = Atomic<UInt8>(State.serving.rawValue)

    /// There is no way back.
    func begin(_ state: State) { current.max(state.rawValue, ordering: .relaxed) }

    /// Each response is the last one of its connection.
    var isAnnounced: Bool { current.load(ordering: .relaxed) >= State.announced.rawValue }

    /// Connections end as soon as nothing is under way on them.
    var isClosing: Bool { current.load(ordering: .relaxed) >= State.closing.rawValue }
}
