internal import Synchronization

/// The state behind its lock, and the observers of jobs.
final class StateStore: Sendable {
    private let state: Mutex<ServiceState>
    private let observers = Mutex<[@Sendable (JobEvent) -> Void]>([])

    init(_ state: sending ServiceState) { self.state = Mutex(state) }

    /// Runs a few lines on the state; `body` must not wait or call other components.
    func withState<Value: Sendable>(_ body: (inout ServiceState) -> Value) -> Value {
        state.withLock { state in body(&state) }
    }

    func observe(_ observer: @escaping @Sendable (JobEvent) -> Void) { observers.withLock { $0.append(observer) } }

    /// Reports the jobs that the committed records begin or end to the observers, and applies the records.
    ///
    /// Both under the lock. A client that reads the end of a job may start the next one at once, and so may a request that an observer
    /// wakes: neither must see the one without the other. So observers must not wait, nor call this service.
    ///
    /// Only the journal calls this, one group after the other.
    func apply(_ groups: [[JournalRecord]]) {
        let observers = observers.withLock { $0 }
        withState { state in
            var statuses: [String: Job.Status] = [:]
            for record in groups.joined() {
                guard let event = state.event(of: record, after: &statuses) else { continue }
                for observer in observers { observer(event) }
            }
            for record in groups.joined() { state.apply(record) }
        }
    }
}

extension ServiceState {
    /// The event of a record that is not applied yet: it makes a job, or changes its status. `statuses` are those that
    /// the records before this one set.
    fileprivate func event(of record: JournalRecord, after statuses: inout [String: Job.Status]) -> JobEvent? {
        guard case .job(let job) = record else { return nil }
        let before = statuses.updateValue(job.status, forKey: job.id) ?? status(ofJob: job.id)
        // A checkpoint is no event.
        if let before, before == job.status || before.isEnd { return nil }
        let family = index(of: job.connection).flatMap { entries[$0].definition?.family }
        return JobEvent(
            job: JobReference(job, family: family),
            kind: job.status.isEnd ? .ended(status: job.status.rawValue) : .started)
    }
}
