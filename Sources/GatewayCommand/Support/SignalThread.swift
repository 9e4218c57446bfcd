import Glibc
import Synchronization
import Transport

/// What a running service does when a signal comes.
struct SignalActions: Sendable {
    /// SIGHUP. Returns at once.
    var reload: @Sendable () -> Void
    /// About once a second, for what has to be looked at now and then.
    var tick: @Sendable () -> Void = {}
    /// Lets the requests in flight finish. `false` when another signal asked not to wait for them.
    var drain: @Sendable (Signals) -> Bool
}

/// The thread that takes the signals of a service, from before its start to the end of the process. It does nothing that takes
/// long, so that whatever else takes its time, a signal is answered.
final class SignalThread: Sendable {
    private struct State {
        var actions: SignalActions?
        var waiter: CheckedContinuation<Bool, Never>?
        var isReloadDue = false
    }

    private let state = Mutex(State())

    /// The signals must be blocked in all threads.
    init(_ signals: Signals) {
        _ = WorkThread(name: "signals") { self.run(signals) }
    }

    /// From now on the service is what the signals are about. Returns when it has drained and has to stop; `false` when it
    /// has to hurry. The process ends soon after, whether it has stopped or not.
    func awaitStop(_ actions: SignalActions) async -> Bool {
        await withCheckedContinuation { waiter in
            let isReloadDue = state.withLock { state in
                state.actions = actions
                state.waiter = waiter
                return state.isReloadDue
            }
            if isReloadDue { actions.reload() }
        }
    }

    private func run(_ signals: Signals) {
        while true {
            switch signals.wait(.seconds(1)) {
            case .terminate?:
                let (actions, waiter) = state.withLock { ($0.actions, $0.waiter) }
                // Nothing is served yet, and what is on the disk is whole at any moment.
                guard let actions, let waiter else { SignalThread.exit() }
                let isOrderly = actions.drain(signals)
                waiter.resume(returning: isOrderly)
                SignalThread.end(within: isOrderly ? .seconds(4) : .seconds(1), signals)
            case .reload?:
                let actions = state.withLock { state in
                    state.isReloadDue = state.actions == nil
                    return state.actions
                }
                actions?.reload()
            case .unused(let name)?: SignalThread.explain(name)
            case nil: state.withLock { $0.actions }?.tick()
            }
        }
    }

    /// Ends the process when it has not ended by itself in time, because a disk does not answer or a thread hangs.
    private static func end(within timeout: Duration, _ signals: Signals) -> Never {
        if !signals.wait(until: .now() + timeout) { _ = signals.wait(until: .now() + .seconds(1)) }
        Help.report("not all of it stopped in time: the rest was cut off")
        _exit(1)
    }

    /// Ends the process of a service that has stopped.
    static func exit() -> Never {
        // Not `exit`: a thread that still reads or compiles policies must not meet what that tears down.
        _exit(0)
    }

    /// Tells what to use instead of a signal that other servers know.
    static func explain(_ name: String) {
        Help.report(
            "\(name) is ignored: SIGHUP reloads policies and certificates, SIGTERM stops; logs go to standard output, so that there is no file to open again"
        )
    }
}
