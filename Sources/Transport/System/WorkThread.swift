internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread that runs one function: a loop, or work that would block a loop.
@safe package final class WorkThread: Sendable {
    private nonisolated(unsafe) var thread = pthread_t()

    /// The priority of a thread for the scheduler.
    package enum Priority: Sendable {
        /// The priority of the thread that starts it.
        case inherited
        /// The thread runs only while no other thread needs the processor.
        ///
        /// It must not hold a lock that a loop needs: while the processors are busy, it may not run for seconds. An
        /// allocation holds such a lock for a moment; see ``isAnyAtLowestPriority``.
        case lowest
    }

    /// Whether a thread of lowest priority has work. It may have been stopped while it held a lock of the allocator, so a loop
    /// should meanwhile do nothing that takes all of these locks, such as trimming the heap.
    package static var isAnyAtLowestPriority: Bool { threadsAtLowestPriority.load(ordering: .relaxed) > 0 }

    private final class Work {
        let name: String
        let priority: Priority
        /// The thread mostly waits, and says itself when it has work.
        let mostlyWaits: Bool
        let body: @Sendable () -> Void

        init(
            name: String, priority: Priority, mostlyWaits: Bool = false, body: @escaping @Sendable () -> Void
        ) {
            self.name = name
            self.priority = priority
            self.mostlyWaits = mostlyWaits
            self.body = body
        }

        func run() {
            guard priority == .lowest else { return body() }
            takeLowestPriority()
            if mostlyWaits { body() } else { WorkThread.workAtLowestPriority(body) }
        }
    }

    /// Starts the thread. `top -H` shows `name`; the kernel keeps 15 bytes of it. A thread of lowest priority does its work in
    /// ``workAtLowestPriority(_:)``, and waits outside of it.
    package init(name: String, priority: Priority = .inherited, _ body: @escaping @Sendable () -> Void) {
        let work = Work(name: name, priority: priority, mostlyWaits: true, body: body)
        guard let thread = unsafe WorkThread.start(work) else {
            preconditionFailure("the system gives no thread for \(name)")
        }
        unsafe self.thread = thread
    }

    /// Runs `body`, on a thread of lowest priority, as work that ``isAnyAtLowestPriority`` reports.
    package static func workAtLowestPriority<Value: ~Copyable, Failure>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        threadsAtLowestPriority.add(1, ordering: .relaxed)
        defer { threadsAtLowestPriority.subtract(1, ordering: .relaxed) }
        return try body()
    }

    /// Runs `body` on a thread that no other thread joins. Returns `false` if the system gives no thread.
    package static func detach(
        name: String, priority: Priority = .inherited, _ body: @escaping @Sendable () -> Void
    ) -> Bool {
        guard let thread = unsafe start(Work(name: name, priority: priority, body: body)) else { return false }
        pthread_detach(thread)
        return true
    }

    /// Runs `body` on a thread of lowest priority, and waits for its end. Returns `false` if that takes longer than
    /// `timeout`: the thread then continues detached. Throws if the system gives no thread.
    package static func runAtLowestPriority(
        name: String, within timeout: Duration, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> Bool {
        guard let thread = unsafe start(Work(name: name, priority: .lowest, body: body)) else {
            throw SystemError("pthread_create")
        }
        let end = (Instant.now() + timeout).nanoseconds
        var time = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        // SAFETY: the structure is read during the call. The thread is joined or detached once, here.
        guard unsafe clinux_pthread_clockjoin(thread, nil, CLOCK_MONOTONIC, &time) != 0 else { return true }
        pthread_detach(thread)
        return false
    }

    @unsafe private static func start(_ work: Work) -> pthread_t? {
        // SAFETY: the new thread takes over the reference. If no thread starts, the reference is released below.
        let argument = unsafe Unmanaged.passRetained(work)
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                unsafe _ = clinux_pthread_setname(pthread_self(), String(work.name.prefix(15)))
                work.run()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            unsafe argument.release()
            return nil
        }
        return thread
    }

    /// Waits for the end of the thread. To be called once.
    package func join() {
        // SAFETY: `thread` is written once, in `init`, before another thread can see this object.
        _ = unsafe pthread_join(thread, nil)
    }
}

private let threadsAtLowestPriority = Atomic<Int>(0)

/// Gives the lowest priority to the calling thread, and to no other thread.
private func takeLowestPriority() {
    // SCHED_IDLE, not a nice value: a thread that wakes up preempts a thread of this class at once, but may have to
    // wait for the time slice of a thread with a nice value, which is milliseconds.
    var parameters = sched_param()
    // SAFETY: the structure is read during the call. In Linux 0 means the calling thread.
    if unsafe sched_setscheduler(0, Int32(CLINUX_SCHED_IDLE), &parameters) == 0 { return }
    // A sandbox may refuse the class. In Linux the nice value belongs to the thread too.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
}

/// The number of processors that are online.
package func availableProcessors() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
