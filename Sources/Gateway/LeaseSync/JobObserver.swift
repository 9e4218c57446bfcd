internal import Policy

/// What the gateway knows of the jobs of an upstream on other machines: from answers that pass by, and by asking.
final class JobObserver: Sendable {
    let leases: LeaseTable
    let statusClient: JobStatusClient

    init(leases: LeaseTable, statusClient: JobStatusClient) {
        self.leases = leases
        self.statusClient = statusClient
    }

    /// Longer answers say nothing about the job that they started.
    static let maxBytes = 256 << 10
    /// Longer answers are not read in passing: that would hold up the loop, and the watcher asks for itself.
    static let maxBytesInPassing = 64 << 10

    /// The job that a successful answer says a request with a lease on `key` started; `nil` where it names none.
    func started(
        by body: Span<UInt8>, _ key: LeaseKey, kind: LeaseKind, family: RouteFamily, near start: String = ""
    ) -> LeaseJob? {
        guard body.count <= Self.maxBytes, let job = JobPayload.read(body), job.mayRun(on: key.connection) else {
            return nil
        }
        return job.job(type: kind.name, location: location(of: job, key, family, near: start))
    }

    /// The connection that a job belongs to; `nil` when the upstream says that the organization has no such job. Everything else
    /// is a failure. Without the connection nothing goes upstream.
    ///
    /// What the upstream says is about the organization that was asked for, whoever the job belongs to.
    func connection(
        ofJob text: String, organization: String, family: RouteFamily, near start: String = ""
    ) async throws(UpstreamFailure) -> String? {
        let id = ConnectionID.canonical(text.utf8.span)
        if let id, let connection = leases.connection(ofJob: id, organization: organization) { return connection }
        guard let path = statusClient.path(.job, family, start, organization, nil, text) else { throw .internalFailure }
        let response: InternalResponse
        do throws(UpstreamFailure) { response = try await statusClient.requests.get(path, for: organization) } catch {
            // The question took too long, not the request: the client must not hear that its work may have begun.
            throw error.status == 504 ? .jobLookupFailed : error
        }
        switch response.status {
        case 200...299:
            guard let job = JobPayload.read(response.body.span), job.id == id, let connection = job.connection else {
                throw .invalidResponse
            }
            return connection
        // Malformed, unknown, or known no more.
        case 400, 404, 410, 422: return nil
        case 401, 403, 407: throw .credentialRefused
        case 429, 500...: throw .jobLookupFailed
        default: throw .invalidResponse
        }
    }

    /// The moment to hand to `observed`, taken before the request goes upstream; `nil` where there is nothing to observe.
    func revisionToObserve(_ route: Route) -> LeaseRevision? {
        route.jobStatus == nil || leases.isEmpty ? nil : leases.revision()
    }

    /// A successful answer to a GET passes by on its way to a client of `organization`.
    func observed(
        _ body: Span<UInt8>, _ route: Route, organization: String, asOf revision: LeaseRevision, now: Int64
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
            leases.jobShown(key, job.job(type: "", location: nil), asOf: revision, now: now)
        }
    }

    private func location(of job: JobPayload, _ key: LeaseKey, _ family: RouteFamily, near start: String) -> String? {
        statusClient.path(.job, family, start, key.organization, key.connection, job.spelling)
    }
}
