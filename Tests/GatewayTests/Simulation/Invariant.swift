/// What must hold after every step.
enum Invariant: String, CaseIterable {
    case exclusion = "two jobs that exclude each other never work on one connection"
    case leased = "work that may run, or may still begin, has a lease"
    case survives = "a lease whose request was sent survives a crash"
    case ends = "a lease ends within its bound once its job has ended and the upstream says so"
    case limits = "a limit admits exactly what its reference admits"
    case caps = "a cap of running jobs refuses exactly what would exceed it"
    case generations = "generations grow on each connection, over crashes too"
    case waiters = "nobody waits for a job whose lease has ended or named it"
    case places = "a place in a queue belongs to a request that waits"
    case turns = "a request whose turn has come is woken"
    case order = "nobody who came later goes first"
    case resends = "a request that is sent again gets its own job, and starts no second one"
    case keys = "an idempotency key is executed once"
    case answers = "the answer to an idempotency key belongs to its own request, and a final one never changes"
    case records = "a record is in progress only while its request is, and is dropped when its time is over"
}

/// An invariant that does not hold.
struct Violation: Equatable {
    let invariant: Invariant
    let detail: String
}
