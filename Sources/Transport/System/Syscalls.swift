internal import CLinux
internal import Glibc

/// The error of a system call.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The name of the call, perhaps with its subject, such as an address.
    package let call: String
    /// The value of `errno`.
    package let number: Int32

    /// The default for `number` is the calling thread's `errno`. So make the error right after the call that failed.
    package init(_ call: String, number: Int32 = errno) {
        self.call = call
        self.number = number
    }

    package var isAddressInUse: Bool { number == EADDRINUSE }

    /// There is no route to the machine, or the machine does not respond.
    package var isUnreachable: Bool {
        switch number {
        case EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ENONET: true
        default: false
        }
    }

    /// The kernel ended a wait because it took too long.
    package var isTimedOut: Bool { number == ETIMEDOUT }

    /// This machine or process has no port, descriptor or memory left. The peer is not the reason.
    package var isOutOfResources: Bool {
        switch number {
        case EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN: true
        default: false
        }
    }

    package var description: String {
        // SAFETY: strerror returns a C string that is read before any other call on this thread.
        unsafe "\(call): \(String(cString: strerror(number)))"
    }
}

/// Makes a system call, and again if a signal interrupts it. An error that only a bug can cause (a bad descriptor, a
/// bad address) is a crash; every other error is thrown.
func syscall(_ name: String, _ body: () -> Int32) throws(SystemError) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        let number = errno
        if number == EINTR { continue }
        precondition(number != EBADF && number != EFAULT, "\(name) has a valid descriptor and a valid address")
        throw SystemError(name, number: number)
    }
}

/// A point in time on the monotonic clock, in nanoseconds. It is not the time of day.
package struct Instant: Comparable, Hashable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// A deadline that never passes. A time must not be added to it, because the sum would wrap round.
    package static let distantFuture = Instant(nanoseconds: .max)

    /// Reads the clock. On a loop, ``EventLoop/now`` is exact enough, and costs less.
    package static func now() -> Instant {
        Instant(nanoseconds: clockNanoseconds(CLOCK_MONOTONIC))
    }

    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// A negative duration counts as zero.
    package static func + (instant: Instant, duration: Duration) -> Instant {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
        return Instant(nanoseconds: instant.nanoseconds &+ nanoseconds)
    }

    /// For code that runs for each request: with a `Duration` it would divide 128-bit numbers.
    package static func + (instant: Instant, timeout: Timeout) -> Instant {
        Instant(nanoseconds: instant.nanoseconds &+ timeout.nanoseconds)
    }

    /// Negative if `later` is the earlier one. Crashes for ``distantFuture``.
    package static func - (later: Instant, earlier: Instant) -> Duration {
        .nanoseconds(Int64(later.nanoseconds) - Int64(earlier.nanoseconds))
    }
}

/// A maximum duration, in nanoseconds.
package struct Timeout: Sendable {
    let nanoseconds: UInt64

    /// A negative duration counts as zero.
    package init(_ duration: Duration) { nanoseconds = (Instant(nanoseconds: 0) + duration).nanoseconds }
}

/// The time of day in nanoseconds since 1970 (UTC).
package func wallClockNanoseconds() -> UInt64 { clockNanoseconds(CLOCK_REALTIME) }

private func clockNanoseconds(_ clock: Int32) -> UInt64 {
    var time = timespec()
    // SAFETY: the kernel fills the structure on our stack.
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Returns all pages without allocations to the kernel, also those between used pages.
package func trimHeapOfProcess() { malloc_trim(0) }
