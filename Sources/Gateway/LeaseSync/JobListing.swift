internal import Policy

/// Collects the pages of a list of one connection's jobs, and decides whether they show all jobs that matter.
/// ``JobStatusClient`` asks; this has the rules.
///
/// A list is complete where it says so, where a page is empty, where a page brings nothing new and is shorter than any limit
/// may be, or where it is sorted newest first and goes back to before the lease. Any other list proves nothing about jobs that
/// are not on it.
struct JobListing {
    /// What to do after a page.
    enum Next: Equatable { case request, end }

    /// The jobs of the connection, in the order of the list. If `wanted` was found, it is the last.
    private(set) var jobs: [JobPayload] = []
    /// Why the list does not prove that there are no other jobs; `nil` if it does.
    private(set) var doubt: DoubtfulResponse?

    private let lease: PolledLease
    private let wanted: String?
    private var limit = JobListing.pageLength
    private var offset = 0
    private var seen: Set<String> = []
    /// The largest total that a page gave.
    private var total: Int?
    private var pages = 0
    /// A longer page was asked for, because a full one came from a family without offsets.
    private var hasRequestedMore = false
    /// The longer page had nothing new: the upstream limits how long a page is.
    private var isCapped = false
    /// The length of a page that came twice, while the list is asked for once more with a limit below that.
    private var repeated: Int?

    static let pageLength = 100
    /// No service is believed to have shorter ones.
    private static let minPage = 10
    /// Airweave has no offset, but longer lists.
    private static let maxPage = 1000
    /// So many pages have more jobs than any connection is believed to have.
    static let maxPages = 20
    /// Milliseconds by which the clocks of gateway and upstream may differ.
    private static let clockTolerance: Int64 = 60_000

    init(of lease: PolledLease, until wanted: String?) {
        self.lease = lease
        self.wanted = wanted
    }

    /// The query parameters of the next page.
    var page: String { offset == 0 ? "limit=\(limit)" : "limit=\(limit)&offset=\(offset)" }

    /// No page came, for this reason.
    mutating func failed(_ doubt: DoubtfulResponse) { self.doubt = doubt }

    mutating func received(_ page: JobList) -> Next {
        pages += 1
        let new = page.jobs.filter { seen.insert($0.id).inserted }
        for job in new where job.mayRun(on: lease.key.connection) {
            jobs.append(job)
            if job.id == wanted { return .end }
        }
        if let said = page.total { total = max(said, total ?? said) }
        // One connection's jobs were asked for. If another's are shown, it is not the list that was asked for, or the
        // connection has another name there. An ended job of another connection does no harm where the list is a filtered one.
        let isForeign = page.jobs.contains { job in
            !job.mayRun(on: lease.key.connection)
                && (lease.family == .airweave || job.id == wanted || !LeaseJob.isTerminal(job.status))
        }
        guard page.unreadable == 0, !isForeign else { return doubted() }
        switch rest(after: page, new: new.count) {
        case .none: return .end
        case .some where pages < Self.maxPages: return .request
        case .some, .unknown: return doubted()
        }
    }

    /// Whether there are more jobs after a page, as far as the page tells.
    private enum Rest { case none, some, unknown }

    private mutating func rest(after page: JobList, new: Int) -> Rest {
        offset += page.count
        // A page below the limit shows that the upstream has pages, so the repeated one may be only the first.
        if let repeated { return page.count < repeated ? .unknown : .none }
        if needsNextPage(after: page) { return .some }
        if let total, seen.count != total { return seen.count < total && new > 0 ? .some : .unknown }
        if page.goesOn == true { return new > 0 ? .some : .unknown }
        if total != nil, page.count < limit { return .none }
        if total != nil { return new > 0 ? .some : .unknown }
        if page.count == 0 || page.goesOn == false || goesBack(page) { return .none }
        if new > 0 { return .some }
        if limit == Self.maxPage, offset == page.count, page.count >= Self.pageLength {
            // The upstream does not show longer pages, but an offset may still work.
            isCapped = true
            return .some
        }
        // The same jobs came again: the upstream ignores the offset, and shows its list from the start each time. That list
        // is whole if it is shorter than the limit, and than the upstream's own limit, which is a round number.
        guard page.count < limit, !isCapped else { return .unknown }
        // Airweave shows as many as it is asked for.
        guard lease.family != .airweave, page.count >= Self.minPage, page.count % 5 == 0 else { return .none }
        repeated = page.count
        (limit, offset) = (page.count - 1, 0)
        return .some
    }

    /// Whether the list is to be asked for again, longer.
    private mutating func needsNextPage(after page: JobList) -> Bool {
        guard lease.family == .airweave, !hasRequestedMore, page.count >= Self.pageLength, page.goesOn != false,
            total != seen.count, !goesBack(page)
        else { return false }
        hasRequestedMore = true
        (limit, offset) = (Self.maxPage, 0)
        return true
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
        // A job that is started again keeps its page among the old ones.
        guard !lease.origin.mayRestart else { return false }
        if goesBack(page.jobs.map(\.createdAt)) { return true }
        guard lease.job?.startedAt != nil || page.count >= Self.maxPage else { return false }
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
