internal import Synchronization

/// Messages to loops whose senders wait until the message has been taken, or until the loops have ended. A loop that
/// has ended takes no message, so its sender would otherwise wait forever.
final class AwaitedMessages: Sendable {
    private struct State {
        var senders: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var count: UInt64 = 0
        var hasEnded = false
    }

    private let state = Mutex(State())

    /// Calls `send` and waits until `taken` is called or the loops end.
    func wait(sending send: (_ taken: @escaping @Sendable () -> Void) -> Void) async {
        await withCheckedContinuation { sender in
            let number: UInt64? = state.withLock { state in
                guard !state.hasEnded else { return nil }
                state.count += 1
                state.senders[state.count] = sender
                return state.count
            }
            guard let number else { return sender.resume() }
            send { [self] in state.withLock { $0.senders.removeValue(forKey: number) }?.resume() }
        }
    }

    /// The loops have ended. Resumes all waiting senders.
    func end() {
        let senders = state.withLock { state in
            state.hasEnded = true
            defer { state.senders = [:] }
            return Array(state.senders.values)
        }
        for sender in senders { sender.resume() }
    }
}
