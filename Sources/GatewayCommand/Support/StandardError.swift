import Synchronization
import Transport

/// Standard error, for messages to people.
enum StandardError {
    private static let isStalled = Mutex(false)

    /// Prints a line. The line is lost if its reader has stopped or the disk is full: the gateway does not wait longer
    /// than 100 ms.
    static func writeLine(_ line: String) {
        isStalled.withLock { isStalled in
            // After one line without a reader the next ones do not wait.
            let timeout: Duration = isStalled ? .zero : .milliseconds(100)
            isStalled = !StandardStream.error.write(Array("\(line)\n".utf8), timeout: timeout)
        }
    }

    /// Prints a text and waits for its reader. Only for use before the service starts.
    static func write(_ text: String) { _ = StandardStream.error.write(Array(text.utf8)) }
}
