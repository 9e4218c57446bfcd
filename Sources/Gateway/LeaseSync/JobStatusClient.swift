package import Policy

/// The path under which a family shows one job of an organization, or the jobs of a connection. `nil` where the family has no
/// such path, or where the path needs a value that is `nil`. `near` is how the path of the request that took the lease
/// begins.
package typealias JobPath =
    @Sendable (
        _ shown: Route.JobStatusBody, _ family: RouteFamily, _ near: String, _ organization: String,
        _ connection: String?,
        _ job: String?
    ) -> String?

/// Asks the upstream about leases, and reads its answers. An answer that does not show what was asked for proves nothing.
///
/// Two things prove that a job has ended: its final status, or a readable list of its connection's jobs that does not have
/// it. The list must be complete, see ``JobListing``. That there is no such path, or that the gateway may not look, proves
/// nothing.
struct JobStatusClient: Sendable {
    let requests: any InternalRequesting
    let path: JobPath

    /// Asks how far the lease's job is; while its job is not known, asks for all jobs of the connection.
    func poll(_ lease: PolledLease) async -> JobStatus {
        do throws(UpstreamFailure) {
            return if let job = lease.job { try await poll(job, of: lease) } else {
                try await pollJobs(of: lease)
            }
        } catch { return .unknown(.failed) }
    }

    private func poll(_ job: LeaseJob, of lease: PolledLease) async throws(UpstreamFailure) -> JobStatus {
        let key = lease.key
        let own =
            job.location ?? path(.job, lease.family, lease.origin.pathStart, key.organization, key.connection, job.id)
        guard let own else { return try await find(job, of: lease, otherwise: .unreadable) }
        let response = try await requests.get(own, for: key.organization)
        // A service that hides the job says the same, and so does a proxy in front of it: the list has to confirm it.
        if response.status == 404 || response.status == 410 {
            return try await find(job, of: lease, otherwise: .notFound)
        }
        if let doubt = DoubtfulResponse(response) { return .unknown(doubt) }
        guard let shown = JobPayload.read(response.body.span), shown.id == job.id, shown.mayRun(on: key.connection)
        else {
            return .unknown(.unreadable)
        }
        return .job(shown.job(type: job.type, location: job.location))
    }

    /// Asks about several leases of one organization and family with the list of all the organization's jobs, newest first. A
    /// lease whose job is not on it gets ``JobStatus/notListed``, and has to be asked about alone.
    ///
    /// `doubt` is why a page proved nothing; `nil` if none did.
    func poll(_ leases: [PolledLease]) async -> (statuses: [JobStatus], doubt: DoubtfulResponse?) {
        var statuses = Array(repeating: JobStatus.notListed, count: leases.count)
        guard let first = leases.first, first.isListed,
            let path = path(.jobs, first.family, first.origin.pathStart, first.key.organization, nil, nil)
        else { return (statuses, .unreadable) }
        var wanted: [String: [Int]] = [:]
        for (index, lease) in leases.enumerated() {
            if let job = lease.job { wanted[job.id, default: []].append(index) }
        }
        var count = 0
        for _ in 0..<Self.maxSharedPages where !wanted.isEmpty {
            let place = count == 0 ? "" : "&offset=\(count)"
            let target = "\(path)?\(Self.newestFirst)limit=\(JobListing.pageLength)\(place)"
            let response: InternalResponse
            do throws(UpstreamFailure) { response = try await requests.get(target, for: first.key.organization) } catch
            {
                return (statuses, .failed)
            }
            let page: JobList
            switch Self.page(in: response) {
            case .success(let jobs): page = jobs
            case .failure(let doubt): return (statuses, doubt)
            }
            for job in page.jobs {
                for index in wanted[job.id] ?? [] {
                    guard let own = leases[index].job, job.mayRun(on: leases[index].key.connection) else { continue }
                    statuses[index] = .job(job.job(type: own.type, location: own.location))
                }
                wanted[job.id] = nil
            }
            count += page.count
            if page.count < JobListing.pageLength { break }
        }
        return (statuses, nil)
    }

    /// Looks for the job in the list of its connection's jobs. `doubt` becomes the answer where the family has no list.
    private func find(
        _ job: LeaseJob, of lease: PolledLease, otherwise doubt: DoubtfulResponse
    ) async throws(UpstreamFailure) -> JobStatus {
        guard let listing = try await list(of: lease, until: job.id) else { return .unknown(doubt) }
        if let shown = listing.jobs.last, shown.id == job.id {
            return .job(shown.job(type: job.type, location: job.location))
        }
        return listing.doubt.map(JobStatus.unknown) ?? .notFound
    }

    private func pollJobs(of lease: PolledLease) async throws(UpstreamFailure) -> JobStatus {
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

    /// Reads page after page until the list has ended, a page proves nothing, or `wanted` is found. `nil` where the family
    /// has no list.
    private func list(of lease: PolledLease, until wanted: String?) async throws(UpstreamFailure) -> JobListing? {
        guard let target = listTarget(of: lease) else { return nil }
        var listing = JobListing(of: lease, until: wanted)
        while true {
            switch Self.page(in: try await requests.get(target + listing.page, for: lease.key.organization)) {
            case .failure(let doubt):
                listing.failed(doubt)
                return listing
            case .success(let page): if listing.received(page) == .end { return listing }
            }
        }
    }

    private static func page(in response: InternalResponse) -> Result<JobList, DoubtfulResponse> {
        if let doubt = DoubtfulResponse(response) { return .failure(doubt) }
        guard var page = JobList.read(response.body.span) else { return .failure(.unreadable) }
        if response.goesOn { page.goesOn = true }
        return .success(page)
    }

    private static let newestFirst = "order_by=createdAt%7CDESC&"
    /// Pages that are read of a list for many leases. Older jobs are asked about one by one.
    private static let maxSharedPages = 5

    private func listTarget(of lease: PolledLease) -> String? {
        let key = lease.key
        guard let path = path(.jobs, lease.family, lease.origin.pathStart, key.organization, key.connection, nil) else {
            return nil
        }
        switch lease.family {
        // Its path names the connection.
        case .airweave: return "\(path)?"
        // Ids are made of unreserved characters and need no escapes.
        case .aitronos, .other:
            return "\(path)?connection_id=\(key.connection)&\(Self.newestFirst)"
        }
    }
}

/// Why an answer to a question about jobs proves nothing.
enum DoubtfulResponse: String, Error, Equatable, CaseIterable, Sendable {
    /// 401, 403 or 407: the gateway may not look.
    case refused
    /// 404 or 410: the path of the jobs leads to nothing, or there is no list to confirm that the job is gone.
    case notFound = "not_found"
    /// No answer in time, or one that says that the upstream is not well.
    case failed
    /// What came is not what was asked for, or does not show all of it.
    case unreadable
    /// It is from a cache, and may be out of date.
    case stored

    /// `nil` for an answer that may prove something.
    init?(_ response: InternalResponse) {
        if response.isStored {
            self = .stored
        } else if (200...299).contains(response.status) {
            return nil
        } else {
            self.init(status: response.status)
        }
    }

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
