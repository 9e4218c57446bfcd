import Transport

extension Signals {
    /// Waits until the deadline or until `isDone`. `false` when SIGTERM or SIGINT came first: whoever asks again does not
    /// want to wait.
    func wait(until deadline: Instant, or isDone: () -> Bool = { false }) -> Bool {
        while Instant.now() < deadline, !isDone() {
            if wait(.milliseconds(20)) == .terminate { return false }
        }
        return true
    }
}
