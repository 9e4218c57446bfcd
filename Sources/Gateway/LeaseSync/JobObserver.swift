internal import Transport
internal import Policy

/// The gateway's knowledge of a remote upstream's jobs: from the responses that it relays, and from status polls.
final class JobObserver: Sendable {
    let leases: LeaseTable
    let statusClient: JobStatusClient

    init(leases: LeaseTable, statusClient: JobStatusClient) {
        self.leases = leases
        self.statusClient = statusClient
    }

    /// A longer response is not searched for the job that the request started.
    static let maxBytes = 256 << 10
    /// A longer relayed response is not parsed: parsing would block the loop, and status polls find the same facts.
    static let maxBytesInPassing = 64 << 10

    /// The job that a successful response names for a request with a lease on `key`; `nil` if it names none.
    func started(
        by body: Span<UInt8>, _ key: LeaseKey, kind: LeaseKind, family: RouteFamily, near start: String = ""
    ) -> LeaseJob? {
        guard body.count <= Self.maxBytes, let job = JobPayload.read(body), job.mayRun(on: key.connection) else {
            return nil
        }
        return statusClient.reader.job(
            job, family: family, type: kind.name, location: location(of: job, key, family, near: start))
    }

    /// The connection that a job belongs to; `nil` if the upstream says that the organization has no such job. All
    /// other results are failures: without the connection, the request is not sent upstream.
    ///
    /// The upstream's response is about `organization`, even if the job belongs to another one.
    func connection(
        ofJob text: String, organization: String, family: RouteFamily, near start: String = ""
    ) async throws(UpstreamFailure) -> String? {
        let id = ConnectionID.canonical(text.utf8.span)
        if let id, let connection = leases.connection(ofJob: id, organization: organization) { return connection }
        guard let path = statusClient.path(.job, family, start, organization, nil, text) else { throw .internalFailure }
        let response: InternalResponse
        do throws(UpstreamFailure) {
            response = try await statusClient.requests.get(path, for: organization, before: .distantFuture)
        } catch {
            // Only the status poll timed out. The client must not be told that its own work may have begun.
            throw error.status == 504 ? .jobLookupFailed : error
        }
        switch response.status {
        case 200...299:
            guard let job = JobPayload.read(response.body.span), job.id == id, let connection = job.connection else {
                throw .invalidResponse
            }
            return connection
        // Malformed, unknown, or no longer known.
        case 400, 404, 410, 422: return nil
        case 401, 403, 407: throw .credentialRefused
        case 429, 500...: throw .jobLookupFailed
        default: throw .invalidResponse
        }
    }

    /// The revision for `observed`, taken before the request is sent upstream; `nil` if there is nothing to observe.
    func revisionToObserve(_ route: Route) -> LeaseRevision? {
        route.jobStatus == nil || leases.isEmpty ? nil : leases.revision()
    }

    /// A successful response to a GET was relayed to a client of `organization`.
    func observed(
        _ body: Span<UInt8>, _ route: Route, organization: String, asOf revision: LeaseRevision, now: Moment
    ) {
        guard let shown = route.jobStatus, body.count <= Self.maxBytesInPassing, !leases.isEmpty else { return }
        let jobs: [JobPayload]
        switch shown {
        case .job: jobs = JobPayload.read(body).map { [$0] } ?? []
        case .jobs: jobs = JobList.read(body)?.jobs ?? []
        }
        for job in jobs {
            guard let connection = job.connection else { continue }
            let key = LeaseKey(organization: organization, connection: connection)
            let shown = statusClient.reader.job(job, family: route.family, type: "", location: nil)
            leases.jobShown(key, shown, asOf: revision, now: now)
        }
    }

    private func location(of job: JobPayload, _ key: LeaseKey, _ family: RouteFamily, near start: String) -> String? {
        statusClient.path(.job, family, start, key.organization, key.connection, job.spelling)
    }
}
