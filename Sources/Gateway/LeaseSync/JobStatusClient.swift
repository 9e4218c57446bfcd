package import Policy
internal import Transport

/// The path at which an API family shows one job of an organization, or the jobs of a connection. `nil` if the family
/// has no such path, or if the path needs a value that is `nil`. `near` is the start of the path of the request that
/// took the lease.
package typealias JobPath =
    @Sendable (
        _ shown: Route.JobStatusBody, _ family: RouteFamily, _ near: String, _ organization: String,
        _ connection: String?,
        _ job: String?
    ) -> String?

/// Polls the upstream about leases and reads its responses. A response that does not show what was polled proves nothing.
///
/// Two things prove that a job has ended: its final status, or a readable list of its connection's jobs that does not
/// show the job. The list must be complete, see ``JobListing``. A missing path or a missing permission proves nothing.
struct JobStatusClient: Sendable {
    let requests: any InternalRequesting
    let path: JobPath
    var reader = JobStatusReader()

    /// Polls the status of the lease's job. If the job is not known yet, polls all jobs of the connection. Each request ends at
    /// `deadline`.
    func poll(_ lease: PolledLease, before deadline: Instant = .distantFuture) async -> JobStatus {
        do throws(UpstreamFailure) {
            return if let job = lease.job { try await poll(job, of: lease, before: deadline) } else {
                try await pollJobs(of: lease, before: deadline)
            }
        } catch { return .unknown(.failed) }
    }

    private func poll(
        _ job: LeaseJob, of lease: PolledLease, before deadline: Instant
    ) async throws(UpstreamFailure) -> JobStatus {
        let key = lease.key
        let own =
            job.location ?? path(.job, lease.family, lease.origin.pathStart, key.organization, key.connection, job.id)
        guard let own else { return try await find(job, of: lease, before: deadline, otherwise: .unreadable) }
        let response = try await requests.get(own, for: key.organization, before: deadline)
        // A service that hides the job responds the same way, and so does a proxy in front of it: the list must confirm it.
        if response.status == 404 || response.status == 410 {
            return try await find(job, of: lease, before: deadline, otherwise: .notFound)
        }
        if let doubt = InconclusiveResponse(response) { return .unknown(doubt) }
        guard let shown = JobPayload.read(response.body.span), shown.id == job.id, shown.mayRun(on: key.connection)
        else {
            return .unknown(.unreadable)
        }
        return .job(reader.job(shown, family: lease.family, type: job.type, location: job.location))
    }

    /// Polls several leases of one organization and family with one list of all the organization's jobs, newest first.
    /// A lease whose job is not in the list gets ``JobStatus/notListed`` and must be polled alone.
    ///
    /// `doubt` says why a page proved nothing; `nil` if all pages were usable.
    func poll(_ leases: [PolledLease]) async -> (statuses: [JobStatus], doubt: InconclusiveResponse?) {
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
            do throws(UpstreamFailure) {
                response = try await requests.get(
                    target, for: first.key.organization, before: .distantFuture)
            } catch {
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
                    statuses[index] = .job(
                        reader.job(job, family: first.family, type: own.type, location: own.location))
                }
                wanted[job.id] = nil
            }
            count += page.count
            if page.count < JobListing.pageLength { break }
        }
        return (statuses, nil)
    }

    /// Looks for the job in the list of its connection's jobs. Returns `doubt` if the family has no such list.
    private func find(
        _ job: LeaseJob, of lease: PolledLease, before deadline: Instant, otherwise doubt: InconclusiveResponse
    ) async throws(UpstreamFailure) -> JobStatus {
        guard let listing = try await list(of: lease, until: job.id, before: deadline) else { return .unknown(doubt) }
        if let shown = listing.jobs.last, shown.id == job.id {
            return .job(reader.job(shown, family: lease.family, type: job.type, location: job.location))
        }
        return listing.doubt.map(JobStatus.unknown) ?? .notFound
    }

    private func pollJobs(of lease: PolledLease, before deadline: Instant) async throws(UpstreamFailure) -> JobStatus {
        guard let listing = try await list(of: lease, until: nil, before: deadline) else {
            return .unknown(.unreadable)
        }
        if let doubt = listing.doubt { return .unknown(doubt) }
        let key = lease.key
        return .jobs(
            listing.jobs.map { job in
                let location = path(
                    .job, lease.family, lease.origin.pathStart, key.organization, key.connection, job.spelling)
                return reader.job(job, family: lease.family, type: lease.kind, location: location)
            })
    }

    /// Reads pages until the list ends, a page proves nothing, or `wanted` is found. `nil` if the family has no list.
    private func list(
        of lease: PolledLease, until wanted: String?, before deadline: Instant
    ) async throws(UpstreamFailure) -> JobListing? {
        guard let target = listTarget(of: lease) else { return nil }
        var listing = JobListing(of: lease, until: wanted, statuses: reader.current)
        while true {
            switch Self.page(
                in: try await requests.get(target + listing.page, for: lease.key.organization, before: deadline))
            {
            case .failure(let doubt):
                listing.failed(doubt)
                return listing
            case .success(let page): if listing.received(page) == .end { return listing }
            }
        }
    }

    private static func page(in response: InternalResponse) -> Result<JobList, InconclusiveResponse> {
        if let doubt = InconclusiveResponse(response) { return .failure(doubt) }
        guard var page = JobList.read(response.body.span) else { return .failure(.unreadable) }
        if response.hasNextPage { page.hasNextPage = true }
        return .success(page)
    }

    private static let newestFirst = "order_by=createdAt%7CDESC&"
    /// The number of pages that are read of a list for many leases. Older jobs are polled one by one.
    private static let maxSharedPages = 5

    private func listTarget(of lease: PolledLease) -> String? {
        let key = lease.key
        guard let path = path(.jobs, lease.family, lease.origin.pathStart, key.organization, key.connection, nil) else {
            return nil
        }
        switch lease.family {
        // The path names the connection.
        case .airweave: return "\(path)?"
        // Ids consist of unreserved characters, so they need no escapes.
        case .aitronos, .other:
            return "\(path)?connection_id=\(key.connection)&\(Self.newestFirst)"
        }
    }
}

/// Why the response to a status poll proves nothing.
enum InconclusiveResponse: String, Error, Equatable, CaseIterable, Sendable {
    /// 401, 403 or 407: the gateway has no permission.
    case refused
    /// 404 or 410: the path of the jobs does not exist, or there is no list to confirm that the job is gone.
    case notFound = "not_found"
    /// No response in time, or one that says that the upstream is not healthy.
    case failed
    /// The response is not what was polled, or shows only a part of it.
    case unreadable
    /// The response is from a cache and may be outdated.
    case fromCache = "stored"

    /// `nil` for a response that may prove something.
    init?(_ response: InternalResponse) {
        if response.isFromCache {
            self = .fromCache
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
