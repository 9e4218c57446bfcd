/// What is decided about a request that changes something.
enum ChangeDecision {
    case refused(APIError)
    /// Everything is already as the request wants it.
    case nothingToDo
    /// `queued` changes the state in memory as soon as the change waits for the disk. `then` hears what became of the
    /// change in the end, whenever that is, and before the client hears of it.
    case change(
        JournalChange, queued: (inout ServiceState) -> Void = { _ in },
        then: @Sendable (CommitOutcome) -> Void = { _ in })
}

extension ConnectorService {
    /// Makes durable what `decide` decides. It decides under the state's lock, so that the order of records is the order of
    /// decisions.
    ///
    /// A 503 says when to try again only where it is certain that nothing was done and nothing will be.
    func commit(_ decide: (inout ServiceState) -> ChangeDecision) async throws(APIError) {
        var refusal = APIError.notCommitted
        let outcome = await withCheckedContinuation { continuation in
            let reply = Reply<CommitOutcome>(continuation)
            let (outcome, error) = store.withState { [committer] state -> (CommitOutcome?, APIError?) in
                switch decide(&state) {
                case .refused(let error): return (.notCommitted, error)
                case .nothingToDo: return (.committed, nil)
                case .change(let change, let queued, let then):
                    guard committer.append(change, reply, then: then) else { return (.notCommitted, nil) }
                    queued(&state)
                    return (nil, nil)
                }
            }
            if let error { refusal = error }
            if let outcome { reply.send(outcome) }
        }
        switch outcome {
        case .committed: return
        case .notCommitted: throw refusal
        case .unknown: throw .outcomeUnknown
        }
    }
}
