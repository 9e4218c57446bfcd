/// Seeded bugs. Each one is a fault of the harness around the real code; the real code has no switch for it.
enum Mutation: String, CaseIterable {
    // Limits and caps.
    case chargesBeforeItDecides = "the store charges the limits before it knows whether the lease is free"
    case refundsTwice = "a refused request gets its units back twice"
    case ignoresCaps = "a claim has no caps"
    case countsJobsTwice = "a cap counts each job twice"
    // Leases and their journal.
    case ignoresMatrix = "no two kinds exclude each other"
    case forgetsToJournal = "the lease table has no journal"
    case sendsBeforeDurable = "a request is sent before its lease is on the disk"
    case dropsNamelessLeases = "a restart drops the leases without a job"
    case forgetsGenerationBound = "a restart forgets the bound of the generations"
    // What the upstream says.
    case bindsLateAnswer = "a late response binds its job to a lease of a newer generation"
    case freesLostRequest = "a lost response frees the lease"
    case freesOnFirstEmptyList = "the first list without a job frees an uncertain lease"
    case ignoresSettle = "no kind has a settle time"
    case endsOnFirstNotFound = "the first poll that does not find the job ends its lease"
    case believesOldResponse = "a response that shows a job counts as new, whenever it was asked for"
    case believesOldPoll = "the answer to a poll counts for its job, whatever has become of the lease since"
    case believesOldList = "a list of the jobs of this process counts as new, whenever it was read"
    case losesPolls = "the schedule does not learn that a poll has failed"
    // Clients that wait, or come again.
    case losesWaiter = "the lease forgets a request that waits for its job"
    case keepsPlace = "a client that has left keeps its place in the queue"
    case servesLastFirst = "the last one in the queue is the first"
    case wakesSomebodyElse = "a place in the queue wakes another request"
    case ignoresFingerprint = "all requests of a caller look the same"
    // Idempotency keys.
    case sendsBeforeRecorded = "a request is sent before its record is on the disk"
    case forgetsRecords = "a restart forgets the records"
    case executesReplays = "a request that has a response is executed again"
    case dropsLostRecord = "a lost response drops the record"
    case storesOtherResponse = "the record keeps another response than the client got"
    case ignoresBody = "all requests with a key ask for the same"
    case keepsRecord = "nobody concludes a record"

    /// The invariant that finds it.
    var breaks: Invariant {
        switch self {
        case .chargesBeforeItDecides, .refundsTwice: .limits
        case .ignoresCaps, .countsJobsTwice: .caps
        case .ignoresMatrix: .exclusion
        case .forgetsToJournal, .sendsBeforeDurable, .dropsNamelessLeases: .survives
        case .forgetsGenerationBound: .generations
        case .bindsLateAnswer, .freesLostRequest, .freesOnFirstEmptyList, .ignoresSettle, .endsOnFirstNotFound: .leased
        case .believesOldResponse, .believesOldPoll, .believesOldList: .leased
        case .losesPolls: .ends
        case .losesWaiter: .waiters
        case .keepsPlace: .places
        case .servesLastFirst: .order
        case .wakesSomebodyElse: .turns
        case .ignoresFingerprint: .resends
        case .sendsBeforeRecorded, .forgetsRecords, .executesReplays, .dropsLostRecord: .keys
        case .storesOtherResponse, .ignoresBody: .answers
        case .keepsRecord: .records
        }
    }

    /// Where the search begins. It saves the time for the rare ones; others begin at 0.
    var likelySeed: UInt64 {
        switch self {
        case .believesOldPoll: 762
        case .believesOldResponse: 164
        case .sendsBeforeRecorded: 54
        default: 0
        }
    }
}
