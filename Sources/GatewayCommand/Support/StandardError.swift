import Synchronization
import Transport

/// What people need to know goes to standard error, a line at a time.
enum StandardError {
    private static let isStalled = Mutex(false)

    /// Prints a line. Where nobody reads, or a disk is full, it is lost: that neither stops nor ends the gateway.
    static func writeLine(_ line: String) {
        isStalled.withLock { isStalled in
            // A reader that has kept one line waiting keeps no other one.
            let timeout: Duration = isStalled ? .zero : .milliseconds(100)
            isStalled = !StandardStream.error.write(Array("\(line)\n".utf8), timeout: timeout)
        }
    }

    /// Prints a text however long it takes to be read: for what comes before anything is served.
    static func write(_ text: String) { _ = StandardStream.error.write(Array(text.utf8)) }
}
