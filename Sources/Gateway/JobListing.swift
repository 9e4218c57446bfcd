internal import Policy

/// Collects the pages of a list of one connection's jobs, and decides whether they show all jobs that matter.
/// ``JobQuestions`` asks; this has the rules.
///
/// A list is complete where it says so, where a page is empty, where a page brings nothing new and is shorter than the limit,
/// or where it is sorted newest first and goes back to before the lease. Any other list proves nothing about jobs that are
/// not on it.
struct JobListing {
    /// What to do after a page.
    enum Next: Equatable { case ask, end }

    /// The jobs of the connection, in the order of the list. If `wanted` was found, it is the last.
    private(set) var jobs: [JobObject] = []
    /// Why the list does not prove that there are no other jobs; `nil` if it does.
    private(set) var doubt: DoubtfulAnswer?

    private let lease: WatchedLease
    private let wanted: String?
    private var limit = JobListing.pageLength
    private var offset = 0
    private var seen: Set<String> = []
    /// The largest total that a page gave.
    private var total: Int?
    private var pages = 0
    /// A longer page was asked for, because a full one came from a family without offsets.
    private var hasAskedForMore = false
    /// The longer page had nothing new: the upstream limits how long a page is.
    private var isCapped = false

    static let pageLength = 100
    /// Airweave has no offset, but longer lists.
    private static let longestPage = 1000
    /// So many pages have more jobs than any connection is believed to have.
    static let mostPages = 20
    /// Milliseconds by which the clocks of gateway and upstream may differ.
    private static let clockTolerance: Int64 = 60_000

    init(of lease: WatchedLease, until wanted: String?) {
        self.lease = lease
        self.wanted = wanted
    }

    /// The query parameters of the next page.
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
        // The path is that of one connection. If it shows another one's jobs, it is not the list that was asked for.
        let isForeign = lease.family == .airweave && page.jobs.contains { !$0.mayRun(on: lease.key.connection) }
        guard page.unreadable == 0, !isForeign else { return doubted() }
        switch rest(after: page, new: new.count) {
        case .none: return .end
        case .some where pages < Self.mostPages: return .ask
        case .some, .unknown: return doubted()
        }
    }

    /// Whether there are more jobs after a page, as far as the page tells.
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
            // The upstream does not show longer pages, but an offset may still work.
            isCapped = true
            return .some
        }
        // The same jobs came again: the upstream ignores the offset, and shows its list from the start each time. That list
        // is whole if it is shorter than the limit; if it is just as long, there may be more jobs.
        return page.count < limit && !isCapped ? .none : .unknown
    }

    private mutating func doubted() -> Next {
        doubt = .unreadable
        return .end
    }

    /// Whether the page is sorted newest first, and its last job is from well before the lease: any younger job would have
    /// come by now.
    ///
    /// The list may be sorted by when jobs were created, or by when they started. In the second case a job that has not
    /// started may be anywhere: that order counts only if the lease's job has started, or if the page has the greatest
    /// length.
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
