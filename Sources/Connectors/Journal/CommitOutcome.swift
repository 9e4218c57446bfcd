/// What became of a change.
enum CommitOutcome: Sendable {
    /// It is durable, and part of the state.
    case committed
    /// It is not durable, and never will be.
    case notCommitted
    /// The disk has it and has not said what became of it. It may be durable, now or later.
    case unknown
}
