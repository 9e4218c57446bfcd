internal import HTTP
internal import Policy
internal import Transport

// One running job per connection. The lease is taken before anything goes upstream, and lives as long as the job.
extension Worker {
    /// `nil` where the route takes none.
    func takeLease(
        _ grant: Grant, _ connection: borrowing ServerConnection, _ exchange: inout Exchange
    ) throws(Failure) -> Lease? {
        guard let kind = grant.route.lease, let organization = grant.organization else { return nil }
        // Without the connection there is no lease to take, and a request that needs one is not sent without it.
        guard let name = exchange.connection else { throw Failure(.internalError, at: .lease) }
        let key = LeaseKey(organization: organization.id, connection: name)
        var origin = LeaseOrigin()
        if let remote { origin = leaseOrigin(of: connection, for: grant, over: remote) }
        let matrix = exchange.policies.set.concurrency
        do throws(LeaseConflict) {
            return try shared.leases.reserve(
                key, kind: kind, family: grant.route.family, from: origin, matrix: matrix, now: milliseconds(),
                traceID: exchange.trace.traceID)
        } catch {
            // A lease that lasts for the request only is that of a state update.
            let isStateUpdate = kind.lifetime == .request
            throw Failure(
                isStateUpdate
                    ? .stateLocked(error, connection: name) : .jobRunning(error, connection: name),
                at: .lease)
        }
    }

    private func leaseOrigin(
        of connection: borrowing ServerConnection, for grant: Grant, over client: UpstreamClient
    ) -> LeaseOrigin {
        LeaseOrigin(
            pathStart: pathStart(of: connection, for: grant), answerTimeout: client.answerTimeout(for: grant.route),
            mayRestart: grant.captures.job != nil)
    }

    /// The path of a request up to its first variable; at most the 256 bytes that a lease remembers.
    func pathStart(of connection: borrowing ServerConnection, for grant: Grant) -> String {
        let path = connection.head.path
        let count = min(grant.captures.start ?? path.count, path.count, 256)
        return connection.text(path.lowerBound..<path.lowerBound + count)
    }
}

extension Worker {
    /// The upstream accepted to cancel a job: its lease goes on, draining, until the job has ended.
    func noteCancellation(_ grant: Grant, _ connection: borrowing ServerConnection) async {
        guard !connection.head.method.isSafe, grant.route.lease == nil, let job = grant.captures.job,
            let organization = grant.organization
        else { return }
        let path = connection.bytes(connection.head.path)
        // Leases know jobs by their one spelling, which need not be the client's.
        let id = ConnectionID.canonical(path.span.extracting(job)) ?? path.span.text(job)
        // Of a remote upstream's jobs only those with a lease matter, and the table knows them: nothing is asked.
        let name =
            if let local = shared.local {
                try? await local.connection(ofJob: id, organization: organization.id)
            } else { shared.leases.connection(ofJob: id, organization: organization.id) }
        guard let name else { return }
        shared.leases.cancelAccepted(LeaseKey(organization: organization.id, connection: name), jobID: id)
    }

    /// The connection of a job that a path names; `nil` when the organization has no such job.
    func connection(
        ofJob job: String, organization: String, family: RouteFamily, near start: String
    ) async throws(UpstreamFailure) -> String? {
        if let local = shared.local { return try await local.connection(ofJob: job, organization: organization) }
        return try await jobs?.connection(ofJob: job, organization: organization, family: family, near: start)
    }
}
