package import Policy

/// The path under which a family shows one job of an organization, or the jobs of a connection; `nil` where it has none, or
/// where it needs what is not given. `near` is the start of the path of the request that took the lease.
package typealias JobPath =
    @Sendable (
        _ shown: Route.JobsShown, _ family: RouteFamily, _ near: String, _ organization: String, _ connection: String?,
        _ job: String?
    ) -> String?

/// Asks the upstream about leases, and reads what it says. An answer that is not what was asked for proves nothing.
///
/// That a job has ended is proved by its final status, or by a readable list of its connection's jobs without it: all pages of it,
/// or newest first back to before the lease. That there is no such path, or that the gateway may not look, proves nothing.
struct JobQuestions: Sendable {
    let questions: any UpstreamQuestions
    let path: JobPath

    /// What becomes of the lease's job, or which jobs there are where it has none.
    func ask(about lease: WatchedLease) async -> JobAnswer {
        do throws(UpstreamFailure) {
            return if let job = lease.job { try await ask(for: job, of: lease) } else {
                try await askForJobs(of: lease)
            }
        } catch { return .unknown(.failed) }
    }

    private func ask(for job: LeaseJob, of lease: WatchedLease) async throws(UpstreamFailure) -> JobAnswer {
        let key = lease.key
        let own =
            job.location ?? path(.job, lease.family, lease.origin.pathStart, key.organization, key.connection, job.id)
        guard let own else { return try await find(job, of: lease, otherwise: .unreadable) }
        let answer = try await questions.ask(own, for: key.organization)
        // A service that hides jobs says so, too, and so does a page of something that stands before it.
        if answer.status == 404 || answer.status == 410 { return try await find(job, of: lease, otherwise: .notFound) }
        guard (200...299).contains(answer.status) else { return .unknown(DoubtfulAnswer(status: answer.status)) }
        guard let shown = JobObject.read(answer.body.span), shown.id == job.id, shown.mayRun(on: key.connection) else {
            return .unknown(.unreadable)
        }
        return .job(shown.job(type: job.type, location: job.location))
    }

    /// What becomes of the jobs of several leases of an organization and a family, as the list of all its jobs has them, newest
    /// first. The rest has to be asked about one by one.
    func ask(about leases: [WatchedLease]) async -> [JobAnswer] {
        var answers = Array(repeating: JobAnswer.notListed, count: leases.count)
        guard let first = leases.first, first.family != .airweave,
            let path = path(.jobs, first.family, first.origin.pathStart, first.key.organization, nil, nil)
        else { return answers }
        var wanted: [String: [Int]] = [:]
        for (index, lease) in leases.enumerated() {
            if let job = lease.job { wanted[job.id, default: []].append(index) }
        }
        var count = 0
        for _ in 0..<Self.mostSharedPages where !wanted.isEmpty {
            let place = count == 0 ? "" : "&offset=\(count)"
            let target = "\(path)?\(Self.newestFirst)\(place)"
            guard let answer = try? await questions.ask(target, for: first.key.organization),
                (200...299).contains(answer.status), let page = JobList.read(answer.body.span)
            else { break }
            for job in page.jobs {
                for index in wanted[job.id] ?? [] {
                    guard let own = leases[index].job, job.mayRun(on: leases[index].key.connection) else { continue }
                    answers[index] = .job(job.job(type: own.type, location: own.location))
                }
                wanted[job.id] = nil
            }
            count += page.count
            if page.count < Self.pageLength { break }
        }
        return answers
    }

    /// Looks for the job in the list of its connection's jobs. `doubt` is what is left where nothing shows a list.
    private func find(
        _ job: LeaseJob, of lease: WatchedLease, otherwise doubt: DoubtfulAnswer
    ) async throws(UpstreamFailure) -> JobAnswer {
        guard let listing = try await list(of: lease, until: job.id) else { return .unknown(doubt) }
        if let shown = listing.jobs.last, shown.id == job.id {
            return .job(shown.job(type: job.type, location: job.location))
        }
        return listing.doubt.map(JobAnswer.unknown) ?? .notFound
    }

    private func askForJobs(of lease: WatchedLease) async throws(UpstreamFailure) -> JobAnswer {
        guard let listing = try await list(of: lease, until: nil) else { return .unknown(.unreadable) }
        if let doubt = listing.doubt { return .unknown(doubt) }
        let key = lease.key
        return .jobs(
            listing.jobs.map { job in
                let location = path(
                    .job, lease.family, lease.origin.pathStart, key.organization, key.connection, job.spelling)
                return job.job(type: lease.kind, location: location)
            })
    }

    /// What a list shows of a connection's jobs.
    private struct Listing {
        var jobs: [JobObject] = []
        /// Why it does not prove that there are no others.
        var doubt: DoubtfulAnswer?
    }

    /// Reads page after page until the list is through or `wanted` is found, which is then the last. `nil` where the family has
    /// no list.
    private func list(of lease: WatchedLease, until wanted: String?) async throws(UpstreamFailure) -> Listing? {
        guard let target = listTarget(of: lease) else { return nil }
        var listing = Listing()
        var seen: Set<String> = []
        var count = 0
        var total: Int?
        for _ in 0..<Self.mostPages {
            let place = count == 0 ? target : "\(target)&offset=\(count)"
            let answer = try await questions.ask(place, for: lease.key.organization)
            guard (200...299).contains(answer.status) else {
                listing.doubt = DoubtfulAnswer(status: answer.status)
                return listing
            }
            guard let page = JobList.read(answer.body.span) else {
                listing.doubt = .unreadable
                return listing
            }
            let new = page.jobs.filter { seen.insert($0.id).inserted }
            count += page.count
            if let said = page.total { total = max(said, total ?? said) }
            for job in new where job.mayRun(on: lease.key.connection) {
                listing.jobs.append(job)
                if job.id == wanted { return listing }
            }
            switch page.rest(after: seen.count, of: total, new: new.count, on: lease, pageLength: Self.pageLength) {
            case .nothing: return listing
            case .more: continue
            case .unknown:
                listing.doubt = .unreadable
                return listing
            }
        }
        listing.doubt = .unreadable
        return listing
    }

    private static let pageLength = 100
    private static let newestFirst = "order_by=createdAt%7CDESC&limit=\(pageLength)"
    /// Of a list for many leases: what is older is asked about by itself.
    private static let mostSharedPages = 5
    /// More jobs than any connection is believed to show.
    private static let mostPages = 20

    private func listTarget(of lease: WatchedLease) -> String? {
        let key = lease.key
        guard let path = path(.jobs, lease.family, lease.origin.pathStart, key.organization, key.connection, nil) else {
            return nil
        }
        switch lease.family {
        // Of one connection by its path.
        case .airweave: return "\(path)?limit=\(Self.pageLength)"
        // Ids are made of unreserved characters and need no escapes.
        case .aitronos, .other:
            return "\(path)?connection_id=\(key.connection)&\(Self.newestFirst)"
        }
    }
}

/// Why an answer to a question about jobs proves nothing.
enum DoubtfulAnswer: String, Equatable, CaseIterable, Sendable {
    /// 401, 403 or 407: the gateway may not look.
    case refused
    /// There is nothing where the jobs should be, or no list confirms that there is none.
    case notFound = "not_found"
    /// No answer in time, or one that says that the upstream is not well.
    case failed
    /// What came is not what was asked for, or does not show all of it.
    case unreadable

    init(status: Int) {
        self =
            switch status {
            case 401, 403, 407: .refused
            case 404, 410: .notFound
            case 429, 500...599: .failed
            default: .unreadable
            }
    }
}

extension JobList {
    /// What a page says about the jobs that are not on it.
    fileprivate enum Rest { case nothing, more, unknown }

    /// So far `count` jobs were read, `new` of them from this page; the most that a page said there are is `total`.
    fileprivate func rest(after count: Int, of total: Int?, new: Int, on lease: WatchedLease, pageLength: Int) -> Rest {
        guard unreadable == 0 else { return .unknown }
        // A path of one connection's jobs that shows another's is not what it should be.
        if lease.family == .airweave, jobs.contains(where: { !$0.mayRun(on: lease.key.connection) }) { return .unknown }
        if let total, count != total { return count < total && new > 0 ? .more : .unknown }
        if self.count >= pageLength, total != nil, new > 0 { return .more }
        if total != nil || self.count == 0 || goesBack(before: lease.since) { return .nothing }
        // An upstream may have shorter pages than were asked for. One that shows the same jobs again has no pages at all, and
        // more jobs than these if it stopped just where a page ends.
        if new > 0 { return .more }
        return self.count < pageLength ? .nothing : .unknown
    }

    /// Whether it is sorted newest first, and its last job began well before `since`: what is younger would be on it.
    private func goesBack(before since: Int64) -> Bool {
        let starts = jobs.compactMap(\.startedAt)
        guard let first = starts.first, let last = starts.last, first > last, last < since - LeaseJob.clockTolerance
        else { return false }
        return zip(starts, starts.dropFirst()).allSatisfy { $0 >= $1 }
    }
}
