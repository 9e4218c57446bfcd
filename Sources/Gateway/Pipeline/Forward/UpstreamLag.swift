internal import HTTP
internal import Policy
internal import Transport

/// Resolves a 409 of the upstream to a request whose connection is free here.
///
/// Either a job runs that the gateway does not know, or the upstream has not noticed the end of the job before. The first is
/// adopted. In the second case the request is sent again: the upstream refused it before any work began, so this is no retry of
/// something that may have happened.
struct UpstreamLag {
    private var deadline: Instant?
    private var delay = UpstreamLag.firstDelay

    enum Resolution {
        /// No job runs, and one has just ended: the request may be sent again.
        case isOver
        /// This job runs.
        case runs(LeaseJob)
        /// The 409 has another reason, or the upstream does not say.
        case isUnknown
    }

    /// An end before this time explains no 409.
    private static let recently = Duration.seconds(60)
    /// The longest time for which a request is sent again.
    private static let maxTime = Duration.seconds(10)
    private static let firstDelay = Duration.milliseconds(250)
    private static let maxDelay = Duration.seconds(2)
    /// No job takes longer, so older ones need not be looked for.
    private static let maxAge: Int64 = 2 * 86_400_000

    /// Asks the upstream what runs on the connection. Before `isOver`, waits until the request may be sent again.
    mutating func resolve(
        _ kind: LeaseKind, for grant: Grant, _ jobs: JobObserver, from target: RemoteForward,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Resolution {
        guard let organization = grant.organization, let connection = exchange.connectionID else { return .isUnknown }
        let (loop, counts) = (target.loop, target.counts)
        let key = LeaseKey(organization: organization.id, connection: connection)
        let deadline = self.deadline ?? min(loop.now + UpstreamLag.maxTime, stream.responseEnd)
        self.deadline = deadline
        let poll = PolledLease(
            serial: 0, key: key, kind: kind.name, family: grant.route.family,
            state: .uncertain, job: nil, since: target.clock.milliseconds - UpstreamLag.maxAge, isAccepted: false,
            origin: LeaseOrigin(pathStart: stream.request.pathStart(for: grant)))
        guard case .jobs(let all) = await jobs.statusClient.poll(poll, before: deadline) else { return .isUnknown }
        let running = all.filter { !$0.hasEnded }
        if let stranger = running.first(where: { !jobs.leases.hasLease(key, jobID: $0.id) }) { return .runs(stranger) }
        // Jobs that run under leases of their own are not in the way, or the request would not have got here.
        guard running.isEmpty, jobs.leases.hasEnded(key, within: UpstreamLag.recently, now: loop.now),
            loop.now + delay < deadline,
            target.client.cluster.limiter.mayRetry(now: loop.now)
        else { return .isUnknown }
        _ = await Waiter(loop: loop).wait(before: loop.now + delay)
        delay = min(delay * 2, UpstreamLag.maxDelay)
        // No work has begun, so nobody needs the response.
        if stream.watch.isPeerClosing { throw Failure(.clientGone, at: .forward) }
        exchange.upstreamLag = .retried
        counts.add(to: .conflictsRetried)
        return .isOver
    }

    /// The lease becomes that of the running job. Returns the conflict that the client gets.
    func adopt(
        _ job: LeaseJob, for lease: consuming Lease?, from target: RemoteForward, _ exchange: inout Exchange
    ) -> Failure {
        exchange.upstreamLag = .adopted
        target.counts.add(to: .conflictsAdopted)
        guard case .some(let own) = lease else { return Failure(.internalError, at: .forward) }
        let connection = own.key.connection
        return Failure(.jobRunning(own.adopt(job, now: target.clock.moment), connection: connection), at: .forward)
    }
}
