import Gateway
import Synchronization
import Transport

/// The thread that writes the access log. Only this thread waits for the reader of the log.
final class AccessLogWriter: Sendable {
    private let isDone = Atomic<Bool>(false)

    /// `write` returns the number of bytes that it has written, and may wait for the reader.
    init(_ queue: AccessLogQueue, write: @escaping @Sendable ([UInt8]) -> Int) throws(SystemError) {
        let loop = try EventLoop(index: -2)
        Task(executorPreference: loop) {
            await queue.writeAll { chunk in
                // The gateway continues without a reader, and counts the lines that are lost.
                let written = write(chunk)
                if written < chunk.count {
                    queue.lost(lines: chunk[written...].count { $0 == UInt8(ascii: "\n") })
                }
            }
            self.isDone.store(true, ordering: .releasing)
            loop.stop()
        }
        // The thread is detached: if it were joined, a reader that has stopped reading would keep the process alive.
        guard WorkThread.detach(name: "log", { loop.run() }) else { throw SystemError("pthread_create") }
    }

    /// Waits until all lines are written, and returns `false` if that takes too long. The queue must be closed before.
    func finish(within timeout: Duration) async -> Bool {
        let deadline = Instant.now() + timeout
        while !isDone.load(ordering: .acquiring) {
            guard Instant.now() < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return true
    }
}
