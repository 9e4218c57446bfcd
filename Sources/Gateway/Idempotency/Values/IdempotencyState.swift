/// How far a request with a key has come.
///
/// A pure state machine: ``after(_:)`` takes an event and returns the next state. There is no way from a state in which work may
/// have begun back to "no record", except by proof that none did.
package enum IdempotencyState: Equatable, Sendable {
    /// The request is in progress in this process.
    case started
    /// Its response was lost, or the process ended, so work may have begun. Its lease tells what became of it; without one nobody can.
    case uncertain
    /// Its response was lost or not kept, and this is the job that it started.
    case resolved(LeaseJob)
    /// The upstream's final response.
    case completed(StoredResponse)

    /// The name of a state, for metrics, the journal and the documentation.
    package enum Phase: String, CaseIterable, Sendable { case started, uncertain, resolved, completed }

    package var phase: Phase {
        switch self {
        case .started: .started
        case .uncertain: .uncertain
        case .resolved: .resolved
        case .completed: .completed
        }
    }

    /// What happens to a record.
    package enum Event: Equatable, Sendable {
        /// The upstream gave its final response.
        case responded(StoredResponse)
        /// The request was not sent, or the upstream did nothing.
        case foundNothing
        /// The response was lost, or leaves open what was done.
        case lost
        /// The lease of the request has this job.
        case foundJob(LeaseJob)

        /// The name of an event, for the documentation.
        package enum Name: String, CaseIterable, Sendable { case responded, foundNothing, lost, foundJob }
    }

    /// What an event makes of a record.
    package enum Next: Equatable, Sendable {
        case state(IdempotencyState)
        /// There is no record any more: the next request with the key is the first one.
        case removed
        /// The event changes nothing: it came too late, or says nothing new.
        case unchanged
    }

    package func after(_ event: Event) -> Next {
        switch (self, event) {
        case (.started, .responded(let response)), (.uncertain, .responded(let response)): .state(.completed(response))
        case (.started, .foundNothing), (.uncertain, .foundNothing): .removed
        case (.started, .lost): .state(.uncertain)
        case (.uncertain, .foundJob(let job)): .state(.resolved(job))
        // The response is still to come, and says more than the job.
        case (.started, .foundJob): .unchanged
        // A response whose body was not kept: the job says more than the status.
        case (.completed(let response), .foundJob(let job)): response.body == nil ? .state(.resolved(job)) : .unchanged
        case (.uncertain, .lost), (.resolved, _), (.completed, _): .unchanged
        }
    }
}
