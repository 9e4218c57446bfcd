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
        // SAFETY: the new thread takes over the one reference; `thread` is written before anyone can see this object.
        let work = unsafe Unmanaged.passRetained(Work(name: name, body: body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let work = unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                unsafe _ = clinux_pthread_setname(pthread_self(), String(work.name.prefix(15)))
                work.body()
                return nil
            }, work.toOpaque())
        precondition(status == 0, "the system gives no thread for \(name)")
        unsafe self.thread = thread
    }

    /// Waits for the end. Once.
    package func join() {
        // SAFETY: written once, in `init`.
        _ = unsafe pthread_join(thread, nil)
    }
}

/// How many processors this process may run on.
package func availableProcessors() -> Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
