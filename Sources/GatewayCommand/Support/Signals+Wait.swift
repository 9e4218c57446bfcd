import Transport

extension Signals {
    /// Waits until the deadline or until `isDone`. `false` when SIGTERM or SIGINT came first: whoever asks again does not
    /// want to wait.
    func wait(until deadline: Instant, or isDone: () -> Bool = { false }) -> Bool {
        while Instant.now() < deadline, !isDone() {
            switch wait(.milliseconds(20)) {
            case .terminate?: return false
            case .unused(let name)?: SignalThread.explain(name)
            // A reload that is asked for meanwhile comes too late.
            case .reload?, nil: break
            }
        }
        return true
    }
}
