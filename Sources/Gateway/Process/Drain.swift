internal import Synchronization

/// The progress of the process toward its end. All workers and the admin interface read this value.
final class Drain: Sendable {
    enum State: UInt8 {
        case serving
        /// `/readyz` fails, and each response is the last of its connection, so that clients move elsewhere and lose no
        /// request.
        case announced
        /// A connection also ends as soon as it has no request in progress.
        case closing
    }

    private let current = Atomic<UInt8>(State.serving.rawValue)

    /// Moves to `state`. It never moves back.
    func begin(_ state: State) { current.max(state.rawValue, ordering: .relaxed) }

    /// Whether each response is the last of its connection.
    var isAnnounced: Bool { current.load(ordering: .relaxed) >= State.announced.rawValue }

    /// Whether connections end as soon as they have no request in progress.
    var isClosing: Bool { current.load(ordering: .relaxed) >= State.closing.rawValue }
}
