import Transport

extension Signals {
    /// Waits until the deadline or until `isDone`. Returns `false` if SIGTERM, SIGINT or SIGQUIT comes first: a second
    /// signal ends the wait.
    func wait(until deadline: Instant, or isDone: () -> Bool = { false }) -> Bool {
        while Instant.now() < deadline, !isDone() {
            switch wait(.milliseconds(20)) {
            case .terminate?: return false
            case .unused(let name)?: SignalThread.explain(name)
            // The service is about to end, so it ignores a reload.
            case .reload?, nil: break
            }
        }
        return true
    }
}
