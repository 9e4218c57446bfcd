internal import CLinux
internal import Glibc

/// A thread that runs one piece of work to its end: a loop, or work that would block one.
@safe package final class WorkThread: Sendable {
    private nonisolated(unsafe) var thread = pthread_t()

    private final class Work {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts at once. `name` is shown by `top -H`; the kernel keeps 15 bytes of it.
    package init(name: String, _ body: @escaping @Sendable () -> Void) {
        guard let thread = unsafe WorkThread.start(Work(name: name, body: body)) else {
            preconditionFailure("the system gives no thread for \(name)")
        }
        unsafe self.thread = thread
    }

    /// Runs `body` on a thread for whose end nobody waits. `false` when the system gives none.
    package static func detach(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        guard let thread = unsafe start(Work(name: name, body: body)) else { return false }
        pthread_detach(thread)
        return true
    }

    @unsafe private static func start(_ work: Work) -> pthread_t? {
        // SAFETY: the new thread takes over the one reference; where there is none, it is taken back.
        let argument = unsafe Unmanaged.passRetained(work)
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                unsafe _ = clinux_pthread_setname(pthread_self(), String(work.name.prefix(15)))
                work.body()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            unsafe argument.release()
            return nil
        }
        return thread
    }

    /// Waits for the end. Once.
    package func join() {
        // SAFETY: written once, in `init`, before anyone could see this object.
        _ = unsafe pthread_join(thread, nil)
    }
}

/// How many processors this process may run on.
package func availableProcessors() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
