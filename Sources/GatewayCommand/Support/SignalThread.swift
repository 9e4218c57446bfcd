import Glibc
import Synchronization
import Transport

/// The actions of a running service for signals.
struct SignalActions: Sendable {
    /// The action for SIGHUP. It returns at once.
    var reload: @Sendable () -> Void
    /// The action once a second, for work that is due from time to time.
    var tick: @Sendable () -> Void = {}
    /// Lets the requests in flight finish. Returns `false` if another signal ends the wait.
    var drain: @Sendable (Signals) -> Bool
}

/// The thread that receives the signals of a service, from before its start until the process ends. It does no long
/// work, so the service always reacts to a signal.
final class SignalThread: Sendable {
    private struct State {
        var actions: SignalActions?
        var waiter: CheckedContinuation<Bool, Never>?
        var isReloadDue = false
    }

    private let state = Mutex(State())

    /// All threads must block the signals.
    init(_ signals: Signals) {
        _ = WorkThread(name: "signals") { self.run(signals) }
    }

    /// Sets the actions, and waits for a signal that ends the service. Returns when the service has drained and must
    /// stop: `true` if all requests had time to finish. The process ends a few seconds later in any case.
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
                // The service has not started yet. An exit at any moment leaves the files on the disk complete.
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

    /// Ends the process if it does not end in time, because a disk does not respond or a thread hangs.
    private static func end(within timeout: Duration, _ signals: Signals) -> Never {
        if !signals.wait(until: .now() + timeout) { _ = signals.wait(until: .now() + .seconds(1)) }
        Help.report("the process did not stop in time, and ends with work unfinished")
        _exit(1)
    }

    /// Ends the process of a service that has stopped.
    static func exit() -> Never {
        // Not `exit`, which destroys objects that other threads still use, such as one that compiles policies.
        _exit(0)
    }

    /// Explains which signal to send instead of one that only other servers use.
    static func explain(_ name: String) {
        Help.report(
            "\(name) is ignored: send SIGHUP to reload policies and certificates, SIGTERM to stop; there is no log file to reopen, because the access log goes to standard output"
        )
    }
}
