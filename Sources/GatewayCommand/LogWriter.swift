import Foundation
import Gateway
import Transport

/// The thread that writes the access log to standard output: the one place where a log line may wait for its reader.
final class LogWriter {
    private let thread: WorkThread

    init(_ queue: AccessLogQueue) throws(SystemError) {
        let loop = try EventLoop(index: -2)
        Task(executorPreference: loop) {
            await queue.writeAll { chunk in
                // A reader that went away does not stop the gateway.
                try? FileHandle.standardOutput.write(contentsOf: chunk)
            }
            loop.stop()
        }
        thread = WorkThread(name: "log") { loop.run() }
    }

    /// Waits until everything is written; the queue must have been closed.
    func join() { thread.join() }
}
