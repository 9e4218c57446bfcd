import Gateway
import Synchronization
import Transport

/// The thread that writes the access log: the one place where a log line may wait for its reader.
final class AccessLogWriter: Sendable {
    private let isDone = Atomic<Bool>(false)

    /// `write` says how many of the bytes it has written, and may wait for their reader.
    init(_ queue: AccessLogQueue, write: @escaping @Sendable ([UInt8]) -> Int) throws(SystemError) {
        let loop = try EventLoop(index: -2)
        Task(executorPreference: loop) {
            await queue.writeAll { chunk in
                // A reader that went away does not stop the gateway.
                let written = write(chunk)
                if written < chunk.count {
                    queue.lost(lines: chunk[written...].count { $0 == UInt8(ascii: "\n") })
                }
            }
            self.isDone.store(true, ordering: .releasing)
            loop.stop()
        }
        // Nobody waits for its end: a reader that stopped reading would keep the process.
        guard WorkThread.detach(name: "log", { loop.run() }) else { throw SystemError("pthread_create") }
    }

    /// Waits until everything is written; the queue must have been closed. `false` when it is not in time.
    func finish(within timeout: Duration) async -> Bool {
        let deadline = Instant.now() + timeout
        while !isDone.load(ordering: .acquiring) {
            guard Instant.now() < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }
}
