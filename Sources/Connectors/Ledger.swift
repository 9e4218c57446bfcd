internal import Synchronization

/// The state behind its lock, with those who are told when a job begins or ends.
final class Ledger: Sendable {
    private let state: Mutex<ServiceState>
    private let observers = Mutex<[@Sendable (JobEvent) -> Void]>([])

    init(_ state: sending ServiceState) { self.state = Mutex(state) }

    /// A few lines on the state; must not call out or wait.
    func withState<Value: Sendable>(_ body: (inout ServiceState) -> Value) -> Value {
        state.withLock { state in body(&state) }
    }

    func observe(_ observer: @escaping @Sendable (JobEvent) -> Void) { observers.withLock { $0.append(observer) } }

    /// Makes committed records the state, then tells the observers.
    func apply(_ groups: [[JournalRecord]]) {
        let events = withState { state in
            var events: [JobEvent] = []
            for record in groups.joined() {
                guard let job = state.apply(record) else { continue }
                let family = state.index(of: job.connection).flatMap { state[$0].definition?.family }
                events.append(
                    JobEvent(
                        job: JobReference(job, family: family),
                        kind: job.status.isEnd ? .ended(status: job.status.rawValue) : .started))
            }
            return events
        }
        guard !events.isEmpty else { return }
        for observer in observers.withLock({ $0 }) {
            for event in events { observer(event) }
        }
    }
}
