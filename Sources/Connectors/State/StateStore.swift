internal import Synchronization

/// The state behind its lock, with those who are told when a job begins or ends.
final class StateStore: Sendable {
    private let state: Mutex<ServiceState>
    private let observers = Mutex<[@Sendable (JobEvent) -> Void]>([])

    init(_ state: sending ServiceState) { self.state = Mutex(state) }

    /// A few lines on the state; must not call out or wait.
    func withState<Value: Sendable>(_ body: (inout ServiceState) -> Value) -> Value {
        state.withLock { state in body(&state) }
    }

    func observe(_ observer: @escaping @Sendable (JobEvent) -> Void) { observers.withLock { $0.append(observer) } }

    /// Tells the observers what the committed records say of jobs, then makes them the state. In this order, because a client
    /// that reads the end of a job may start the next one at once: by then the end must be known wherever jobs are counted.
    ///
    /// Called by the journal only, one group after the other.
    func apply(_ groups: [[JournalRecord]]) {
        let events = withState { state in
            var statuses: [String: Job.Status] = [:]
            return groups.joined().compactMap { state.event(of: $0, after: &statuses) }
        }
        if !events.isEmpty {
            for observer in observers.withLock({ $0 }) {
                for event in events { observer(event) }
            }
        }
        withState { state in
            for record in groups.joined() { state.apply(record) }
        }
    }
}

extension ServiceState {
    /// What a record that is not applied yet will tell: that it makes a job, or changes its status. `statuses` are those that
    /// the records before it set.
    fileprivate func event(of record: JournalRecord, after statuses: inout [String: Job.Status]) -> JobEvent? {
        guard case .job(let job) = record else { return nil }
        let before = statuses.updateValue(job.status, forKey: job.id) ?? status(ofJob: job.id)
        // A checkpoint is no news.
        if let before, before == job.status || before.isEnd { return nil }
        let family = index(of: job.connection).flatMap { entries[$0].definition?.family }
        return JobEvent(
            job: JobReference(job, family: family),
            kind: job.status.isEnd ? .ended(status: job.status.rawValue) : .started)
    }
}
