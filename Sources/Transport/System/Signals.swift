internal import Glibc

/// The signals of a service, taken by one thread that waits for them instead of by handlers that interrupt anything.
@safe package struct Signals: Sendable {
    package enum Signal: Equatable, Sendable {
        case terminate
        case reload
        /// One that would end the process at once if nobody took it, and means nothing here.
        case unused(String)
    }

    private let set: sigset_t

    /// Blocks the signals in this thread and all threads it starts. Call before any other thread is started.
    package init() {
        var set = sigset_t()
        // SAFETY: the set is ours; the calls fill and read it.
        unsafe sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2] { unsafe sigaddset(&set, number) }
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // A peer that went away is an error value of the write, not the end of the process.
        _ = signal(SIGPIPE, SIG_IGN)
        self.set = set
    }

    /// The next signal, or `nil` when none came in time.
    package func wait(_ duration: Duration) -> Signal? {
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        // SAFETY: set and time are read by the kernel.
        var set = set
        switch unsafe sigtimedwait(&set, nil, &time) {
        // SIGQUIT ends other servers gracefully. Its own action would end this one with requests in flight.
        case SIGTERM, SIGINT, SIGQUIT: return .terminate
        case SIGHUP: return .reload
        case SIGUSR1: return .unused("SIGUSR1")
        case SIGUSR2: return .unused("SIGUSR2")
        default: return nil
        }
    }
}

/// Lets the process open as many descriptors as the system permits it, and returns how many these are.
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
