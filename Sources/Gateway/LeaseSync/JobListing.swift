internal import Policy

/// Collects the pages of one connection's job list, and decides whether they show all jobs that matter.
/// ``JobStatusClient`` fetches the pages; this type has the rules.
///
/// A list is complete if it says so, if a page is empty, if a page has no new jobs and is shorter than any limit could
/// be, or if the list is sorted newest first and reaches back to a time before the lease. Any other list proves nothing
/// about jobs that it does not show.
struct JobListing {
    /// What to do after a page.
    enum Next: Equatable { case request, end }

    /// The jobs of the connection, in the order of the list. If `wanted` was found, it is the last.
    private(set) var jobs: [JobPayload] = []
    /// Why the list does not prove that there are no other jobs; `nil` if it proves that.
    private(set) var doubt: InconclusiveResponse?

    private let lease: PolledLease
    private let wanted: String?
    private let statuses: JobStatuses
    private var limit = JobListing.pageLength
    private var offset = 0
    private var seen: Set<String> = []
    /// The largest total that a page gave.
    private var total: Int?
    private var pages = 0
    /// A longer page was requested, because a page was full and the API family has no offsets.
    private var hasRequestedMore = false
    /// The longer page had nothing new: the upstream limits the length of a page.
    private var isCapped = false
    /// The length of a page that came twice; set while the list is requested again with a smaller limit.
    private var repeated: Int?

    static let pageLength = 100
    /// The smallest page length that the upstream may have.
    private static let minPage = 10
    /// Airweave has no offset, but allows longer pages.
    private static let maxPage = 1000
    /// The most pages to read: longer than the job list of any connection.
    static let maxPages = 20
    /// The difference in milliseconds that the clocks of gateway and upstream may have.
    private static let clockTolerance: Int64 = 60_000

    init(of lease: PolledLease, until wanted: String?, statuses: JobStatuses = .documented) {
        self.lease = lease
        self.wanted = wanted
        self.statuses = statuses
    }

    /// The query parameters of the next page.
    var page: String { offset == 0 ? "limit=\(limit)" : "limit=\(limit)&offset=\(offset)" }

    /// The next page could not be read.
    mutating func failed(_ doubt: InconclusiveResponse) { self.doubt = doubt }

    mutating func received(_ page: JobList) -> Next {
        pages += 1
        let new = page.jobs.filter { seen.insert($0.id).inserted }
        for job in new where job.mayRun(on: lease.key.connection) {
            jobs.append(job)
            if job.id == wanted { return .end }
        }
        if let given = page.total { total = max(given, total ?? given) }
        // The poll asked for the jobs of one connection. Jobs of another one show that this is a different list, or
        // that the upstream has another name for the connection. In a filtered list, an ended job of another connection
        // does no harm.
        let isForeign = page.jobs.contains { job in
            !job.mayRun(on: lease.key.connection)
                && (lease.family == .airweave || job.id == wanted
                    || (statuses.phase(of: job.status, family: lease.family) ?? .active) == .active)
        }
        guard page.unreadable == 0, !isForeign else { return endInconclusively() }
        switch rest(after: page, new: new.count) {
        case .none: return .end
        case .some where pages < Self.maxPages: return .request
        case .some, .unknown: return endInconclusively()
        }
    }

    /// Whether there are more jobs after a page, according to the page.
    private enum Rest { case none, some, unknown }

    private mutating func rest(after page: JobList, new: Int) -> Rest {
        offset += page.count
        // A page shorter than the limit shows that the upstream limits pages, so the repeated page may be only the
        // first one.
        if let repeated { return page.count < repeated ? .unknown : .none }
        if needsNextPage(after: page) { return .some }
        if let total, seen.count != total { return seen.count < total && new > 0 ? .some : .unknown }
        if page.hasNextPage == true { return new > 0 ? .some : .unknown }
        if total != nil, page.count < limit { return .none }
        if total != nil { return new > 0 ? .some : .unknown }
        if page.count == 0 || page.hasNextPage == false || goesBack(page) { return .none }
        if new > 0 { return .some }
        if limit == Self.maxPage, offset == page.count, page.count >= Self.pageLength {
            // The upstream does not show longer pages, but an offset may still work.
            isCapped = true
            return .some
        }
        // The same jobs came again: the upstream ignores the offset and always starts with the first job. The list is
        // complete if it is shorter than both the requested limit and the upstream's own limit, which is a round number.
        guard page.count < limit, !isCapped else { return .unknown }
        // Airweave shows as many jobs as requested.
        guard lease.family != .airweave, page.count >= Self.minPage, page.count % 5 == 0 else { return .none }
        repeated = page.count
        (limit, offset) = (page.count - 1, 0)
        return .some
    }

    /// Whether the list must be requested again with a longer page.
    private mutating func needsNextPage(after page: JobList) -> Bool {
        guard lease.family == .airweave, !hasRequestedMore, page.count >= Self.pageLength, page.hasNextPage != false,
            total != seen.count, !goesBack(page)
        else { return false }
        hasRequestedMore = true
        (limit, offset) = (Self.maxPage, 0)
        return true
    }

    private mutating func endInconclusively() -> Next {
        doubt = .unreadable
        return .end
    }

    /// Whether the page is sorted newest first and its last job is well older than the lease, so that all younger jobs
    /// have been shown.
    ///
    /// The list may be sorted by creation time or by start time. In the second case a job that has not started can be
    /// anywhere, so the start times count only if the lease's job has started, or if the page has the maximum length.
    private func goesBack(_ page: JobList) -> Bool {
        // A job that is started again keeps its old position in the list.
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
