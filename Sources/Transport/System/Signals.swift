internal import Glibc

/// The signals of a service. One thread waits for them, so no handler interrupts other code.
@safe package struct Signals: Sendable {
    package enum Signal: Equatable, Sendable {
        case terminate
        case reload
        /// A signal without a meaning here. It is received because its default action would end the process.
        case unused(String)
    }

    private let set: sigset_t

    /// Blocks the signals in this thread and in the threads that it starts. To be called before any other thread starts.
    package init() {
        var set = sigset_t()
        // SAFETY: the set is ours; the calls fill and read it.
        unsafe sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2] { unsafe sigaddset(&set, number) }
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // A write to a closed connection returns an error and does not end the process.
        _ = signal(SIGPIPE, SIG_IGN)
        self.set = set
    }

    /// The next signal; `nil` if none comes in time.
    package func wait(_ duration: Duration) -> Signal? {
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        // SAFETY: set and time are read by the kernel.
        var set = set
        switch unsafe sigtimedwait(&set, nil, &time) {
        // Other servers stop gracefully on SIGQUIT. Its default action would end this process with requests in flight.
        case SIGTERM, SIGINT, SIGQUIT: return .terminate
        case SIGHUP: return .reload
        case SIGUSR1: return .unused("SIGUSR1")
        case SIGUSR2: return .unused("SIGUSR2")
        default: return nil
        }
    }
}

/// Raises the number of descriptors that the process may open to the maximum that the system permits, and returns that
/// number.
@discardableResult
package func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    // SAFETY: the kernel fills and reads the structure.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
    let before = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    let isRaised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
    return Int(clamping: isRaised ? limit.rlim_max : before)
}
