internal import Policy

/// What the pages of a list say about the jobs of one connection, and whether they show all that matter: the rules of
/// ``JobQuestions`` for lists, without a question.
///
/// A list is through where it says so, where a page is empty, or where it is sorted newest first and goes back to before the
/// lease. Everything else proves nothing about jobs that are not on it.
struct JobListing {
    /// What is left to do after a page.
    enum Next: Equatable { case ask, end }

    /// Those of the connection, in the order of the list. The one that was wanted is the last.
    private(set) var jobs: [JobObject] = []
    /// Why it does not prove that there are no others.
    private(set) var doubt: DoubtfulAnswer?

    private let lease: WatchedLease
    private let wanted: String?
    private var limit = JobListing.pageLength
    private var offset = 0
    private var seen: Set<String> = []
    /// The most jobs that a page said there are.
    private var total: Int?
    private var pages = 0
    /// The upstream has shown a longer page than was asked for at first, or was asked for one in vain.
    private var hasAskedForMore = false
    private var isCapped = false

    static let pageLength = 100
    /// Airweave has no offset, but longer lists.
    private static let longestPage = 1000
    /// More jobs than any connection is believed to show.
    static let mostPages = 20
    /// Milliseconds by which the clocks of gateway and upstream may differ.
    private static let clockTolerance: Int64 = 60_000

    init(of lease: WatchedLease, until wanted: String?) {
        self.lease = lease
        self.wanted = wanted
    }

    /// The parameters of the next page.
    var place: String { offset == 0 ? "limit=\(limit)" : "limit=\(limit)&offset=\(offset)" }

    /// No page came, for this reason.
    mutating func failed(_ doubt: DoubtfulAnswer) { self.doubt = doubt }

    mutating func received(_ page: JobList) -> Next {
        pages += 1
        let new = page.jobs.filter { seen.insert($0.id).inserted }
        for job in new where job.mayRun(on: lease.key.connection) {
            jobs.append(job)
            if job.id == wanted { return .end }
        }
        if let said = page.total { total = max(said, total ?? said) }
        // A path of one connection's jobs that shows another's is not what it should be.
        let isForeign = lease.family == .airweave && page.jobs.contains { !$0.mayRun(on: lease.key.connection) }
        guard page.unreadable == 0, !isForeign else { return doubted() }
        switch rest(after: page, new: new.count) {
        case .none: return .end
        case .some where pages < Self.mostPages: return .ask
        case .some, .unknown: return doubted()
        }
    }

    /// What a page says about the jobs that are not on it.
    private enum Rest { case none, some, unknown }

    private mutating func rest(after page: JobList, new: Int) -> Rest {
        offset += page.count
        if let total, seen.count != total { return seen.count < total && new > 0 ? .some : .unknown }
        if page.goesOn { return new > 0 ? .some : .unknown }
        if total != nil { return page.count >= limit && new > 0 ? .some : .none }
        if page.count == 0 || goesBack(page) { return .none }
        if lease.family == .airweave, page.count >= Self.pageLength, !hasAskedForMore {
            hasAskedForMore = true
            (limit, offset) = (Self.longestPage, 0)
            return .some
        }
        if new > 0 { return .some }
        if limit == Self.longestPage, offset == page.count, page.count >= Self.pageLength {
            // It shows no more at once.
            isCapped = true
            return .some
        }
        // An upstream may have shorter pages than were asked for. One that shows the same jobs again has no pages at all, and
        // more jobs than these if it stopped just where a page ends.
        return page.count < limit && !isCapped ? .none : .unknown
    }

    private mutating func doubted() -> Next {
        doubt = .unreadable
        return .end
    }

    /// Whether the page is sorted newest first, and its last job is from well before the lease: what is younger would be on it.
    ///
    /// By when jobs were made, or by when they started. But a job that has not started is anywhere in such a list: that
    /// counts only for a job that has, or where the page is as long as the longest.
    private func goesBack(_ page: JobList) -> Bool {
        if goesBack(page.jobs.map(\.createdAt)) { return true }
        guard lease.job?.startedAt != nil || page.count >= Self.longestPage else { return false }
        return goesBack(page.jobs.map(\.startedAt))
    }

    private func goesBack(_ times: [Int64?]) -> Bool {
        let known = times.compactMap { $0 }
        guard known.count == times.count, let first = known.first, let last = known.last, first > last,
            last < lease.since - Self.clockTolerance
        else { return false }
        return zip(known, known.dropFirst()).allSatisfy { $0 >= $1 }
    }
}
