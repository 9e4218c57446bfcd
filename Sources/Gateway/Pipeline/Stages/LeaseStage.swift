internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// One running job per connection. The lease is taken before the request is sent upstream, and lasts as long as the job.
final class LeaseStage {
    let leases: LeaseTable
    /// The connector service of this process, which knows the connections of its jobs.
    let local: (any InProcessUpstream)?
    let clock: WallClock

    init(leases: LeaseTable, local: (any InProcessUpstream)?, clock: WallClock) {
        self.leases = leases
        self.local = local
        self.clock = clock
    }

    /// `nil` where the route takes none. `upstream` says what the lease has to store.
    func take(
        _ grant: Grant, _ request: borrowing Request, at upstream: some LeaseOrigins, _ exchange: inout Exchange
    ) throws(Failure) -> Lease? {
        let lease = try reserve(grant, request, at: upstream, exchange)
        exchange.mark(.lease)
        return lease
    }

    private func reserve(
        _ grant: Grant, _ request: borrowing Request, at upstream: some LeaseOrigins, _ exchange: borrowing Exchange
    ) throws(Failure) -> Lease? {
        guard let kind = grant.route.lease, let organization = grant.organization else { return nil }
        // A request that needs a lease cannot be sent without one, and a lease needs the connection.
        guard let name = exchange.connectionID else { throw Failure(.internalError, at: .lease) }
        let key = LeaseKey(organization: organization.id, connection: name)
        do throws(LeaseConflict) {
            return try leases.reserve(
                key, kind: kind, family: grant.route.family, from: upstream.leaseOrigin(of: request, for: grant),
                matrix: exchange.policies.set.concurrency,
                now: clock.milliseconds, traceID: exchange.trace.traceID)
        } catch {
            // Only state updates have leases that last for the request.
            let isStateUpdate = kind.lifetime == .request
            throw Failure(
                isStateUpdate ? .stateLocked(error, connection: name) : .jobRunning(error, connection: name), at: .lease
            )
        }
    }

    /// The upstream accepted the cancellation of a job. The job's lease drains until the job has ended.
    func recordCancellation(_ grant: Grant, _ request: borrowing Request, _ response: borrowing Response) async {
        guard let job = grant.captures.job, response.status < 300, !request.head.method.isSafe,
            grant.route.lease == nil, let organization = grant.organization
        else { return }
        let path = request.bytes(request.head.path)
        // Leases have the canonical spelling of job ids; the client may use another one.
        let id = ConnectionID.canonical(path.span.extracting(job)) ?? path.span.text(job)
        // The table knows all leases of a remote upstream's jobs, so the upstream is not polled.
        let name =
            if let local {
                try? await local.connection(ofJob: id, organization: organization.id)
            } else { leases.connection(ofJob: id, organization: organization.id) }
        guard let name else { return }
        leases.cancelAccepted(LeaseKey(organization: organization.id, connection: name), jobID: id)
    }
}

/// An upstream that says what a lease stores about the request that takes it.
protocol LeaseOrigins {
    func leaseOrigin(of request: borrowing Request, for grant: Grant) -> LeaseOrigin
}

extension Request {
    /// The path up to its first variable, limited to the 256 bytes that a lease stores.
    func pathStart(for grant: Grant) -> String {
        let path = head.path
        let count = min(grant.captures.start ?? path.count, path.count, 256)
        return text(path.lowerBound..<path.lowerBound + count)
    }
}
