internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Gets what the work of a request needs. A request with a lease asks the admission store for lease and limits in one call. A
/// request without one only charges its limits.
struct AdmitStage {
    let store: MemoryAdmission
    let leases: LeaseTable
    let limits: LimitStage
    let loop: EventLoop
    let clock: WallClock
    private let fingerprints = RequestFingerprints()

    init(store: MemoryAdmission, leases: LeaseTable, limits: LimitStage, loop: EventLoop, clock: WallClock) {
        self.store = store
        self.leases = leases
        self.limits = limits
        self.loop = loop
        self.clock = clock
    }

    /// How an admitted request goes on.
    enum Admission: ~Copyable {
        /// The work begins, under a lease if the route takes one.
        case begins(Lease?)
        /// The work has begun already, for an earlier sending of the same request: this is the response to both.
        case responds(Response)
    }

    /// `target` says what the lease has to store. May wait for the job of an earlier sending of the same request.
    func admit(
        _ grant: Grant, _ body: ForwardedBody, at target: some LeaseOrigins & JobConnectionLookup,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        // Requests without a lease are most of all, and need nothing of what follows.
        guard grant.route.lease != nil else {
            try limits.chargeWork(grant, &exchange, now: loop.now)
            return .begins(nil)
        }
        return try await admitLease(grant, body, at: target, &stream, &exchange)
    }

    // Not inlined, so that its frame is not part of those of requests without a lease.
    @inline(never)
    private func admitLease(
        _ grant: Grant, _ body: ForwardedBody, at target: some LeaseOrigins & JobConnectionLookup,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        let claim = try claim(grant, body, stream.request, at: target, &exchange)
        let deadline = loop.now + (claim.origin.responseTimeout ?? AdmitStage.maxWait)
        while true {
            var request = AdmissionRequest(limits: limits.beginWork(grant, &exchange), lease: claim, loop: loop)
            let outcome = store.admit(&request, now: Moment(epochMilliseconds: clock.milliseconds, instant: loop.now))
            limits.endWork(request.limits, &exchange)
            switch consume outcome {
            case .admitted(.some(let lease)):
                limits.countExceeded(exchange)
                exchange.leaseGeneration = lease.generation
                exchange.mark(.admit)
                return .begins(lease)
            // The claim above asks for a lease.
            case .admitted(.none): throw Failure(.internalError, at: .admit)
            case .limited:
                let refusal = limits.refusal(exchange)
                throw Failure(.rateLimited(limit: refusal.limit, retryAfterSeconds: refusal.seconds), at: .admit)
            case .conflict(let conflict): throw failure(conflict, claim)
            case .resent(let own):
                switch own.progress {
                case .job(let job): return respond(own, job, claim, &exchange)
                case .tooManyWaiters: throw failure(own.conflict, claim)
                case .awaited(let waiter):
                    switch try await awaitOutcome(of: waiter, for: own, claim, before: deadline, &stream) {
                    case .job(let job): return respond(own, job, claim, &exchange)
                    // The first sending began no work, so this one may.
                    case .nothing: continue
                    }
                }
            }
        }
    }

    /// How long a request waits for its own first sending if the upstream has no time-out.
    private static let maxWait = Duration.seconds(75)

    private func claim(
        _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request,
        at target: some LeaseOrigins & JobConnectionLookup,
        _ exchange: inout Exchange
    ) throws(Failure) -> LeaseClaim {
        // A request that needs a lease cannot be sent without one, and a lease needs the connection.
        guard let kind = grant.route.lease, let organization = grant.organization, let principal = grant.principal,
            let name = exchange.connectionID
        else { throw Failure(.internalError, at: .admit) }
        var fingerprint: RequestFingerprint?
        if grant.route.resendWindow != nil {
            fingerprint = fingerprints.fingerprint(of: request, body, exchange.bodyValue, grant.captures)
        }
        // Only the service of this process reads it, too.
        if !target.readsBodyValue { exchange.bodyValue = nil }
        return LeaseClaim(
            key: LeaseKey(organization: organization.id, connection: name), kind: kind, family: grant.route.family,
            origin: target.leaseOrigin(of: request, for: grant), matrix: exchange.policies.set.concurrency,
            traceID: exchange.trace.traceID,
            owner: LeaseOwner(
                subject: principal.subject, token: principal.tokenID, operation: grant.route.id,
                fingerprint: fingerprint),
            resendWindow: grant.route.resendWindow)
    }

    /// Waits for what becomes of the first sending of this request.
    private func awaitOutcome(
        of waiter: LeaseWaiter, for own: OwnLease, _ claim: LeaseClaim, before deadline: Instant,
        _ stream: inout some ClientStream & ~Copyable
    ) async throws(Failure) -> LeaseWaiter.Outcome {
        // Responses to earlier pipelined requests must not wait for this one.
        var isClientThere = await stream.flush()
        while isClientThere, loop.now < deadline {
            // In short steps, to notice a client that leaves.
            if let outcome = await waiter.wait(before: min(deadline, loop.now + .seconds(1))) { return outcome }
            isClientThere = !stream.watch.isPeerClosing
        }
        let outcome = leases.stopWaiting(waiter, for: own, on: claim.key)
        guard isClientThere else { throw Failure(.clientGone, at: .admit) }
        guard let outcome else {
            // The lease may have changed since the wait began.
            let now = Moment(epochMilliseconds: clock.milliseconds, instant: loop.now)
            throw failure(leases.conflict(of: claim, now: now) ?? own.conflict, claim)
        }
        return outcome
    }

    private func respond(_ own: OwnLease, _ job: LeaseJob, _ claim: LeaseClaim, _ exchange: inout Exchange) -> Admission
    {
        exchange.outcome = .deduplicated
        exchange.startedJob = job.id
        exchange.leaseGeneration = own.generation
        exchange.mark(.admit)
        return .responds(RunningJobResponse.response(job, claim, .deduplicated))
    }

    private func failure(_ conflict: LeaseConflict, _ claim: LeaseClaim) -> Failure {
        let connection = claim.key.connection
        switch claim.kind.lifetime {
        case .job: return Failure(.jobRunning(conflict, connection: connection), at: .admit)
        // Only state updates have leases that last for the request.
        case .request: return Failure(.stateLocked(conflict, connection: connection), at: .admit)
        }
    }
}

/// An upstream that says what a lease stores about the request that takes it.
protocol LeaseOrigins {
    func leaseOrigin(of request: borrowing Request, for grant: Grant) -> LeaseOrigin
}
