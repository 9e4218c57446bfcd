/// Seeded bugs. Each one is a fault of the harness around the real code; the real code has no switch for it.
enum Mutation: String, CaseIterable {
    case chargesBeforeItDecides = "the store charges the limits before it knows whether the lease is free"
    case refundsTwice = "a refused request gets its units back twice"
    case forgetsToJournal = "the lease table has no journal"
    case sendsBeforeDurable = "a request is sent before its lease is on the disk"
    case dropsNamelessLeases = "a restart drops the leases without a job"
    case forgetsGenerationBound = "a restart forgets the bound of the generations"
    case bindsLateAnswer = "a late response binds its job to a lease of a newer generation"
    case freesLostRequest = "a lost response frees the lease"
    case freesOnFirstEmptyList = "the first list without a job frees an uncertain lease"
    case ignoresSettle = "no kind has a settle time"
    case endsOnFirstNotFound = "the first poll that does not find the job ends its lease"
    case losesWaiter = "the lease forgets a request that waits for its job"
    case keepsPlace = "a client that has left keeps its place in the queue"
}
