internal import Bytes
internal import HTTP
internal import Policy
internal import Transport

/// Gets what the work of a request needs. A request with a lease asks the admission store for lease and limits in one call. A
/// request without one only charges its limits.
struct AdmitStage {
    let store: MemoryAdmission
    let leases: LeaseTable
    let keys: KeyStage
    let limits: LimitStage
    /// Where requests wait for connections.
    let waitingRoom: WaitingRoom
    let loop: EventLoop
    let clock: WallClock
    /// A gateway that is about to end lets nobody wait.
    let drain: Drain
    private let fingerprints: RequestFingerprints

    init(
        store: MemoryAdmission, leases: LeaseTable, keys: KeyStage, limits: LimitStage,
        fingerprints: RequestFingerprints, waitingRoom: WaitingRoom, loop: EventLoop, clock: WallClock, drain: Drain
    ) {
        self.store = store
        self.leases = leases
        self.keys = keys
        self.limits = limits
        self.fingerprints = fingerprints
        self.waitingRoom = waitingRoom
        self.loop = loop
        self.clock = clock
        self.drain = drain
    }

    private var moment: Moment { Moment(epochMilliseconds: clock.milliseconds, instant: loop.now) }

    /// How an admitted request goes on.
    enum Admission: ~Copyable {
        /// The work begins, under a lease if the route takes one.
        case begins(Lease?)
        /// The job of another request is the response to this one, too.
        case responds(Response)
    }

    /// `target` says what the lease has to store. May wait for the job of another request, or for the connection.
    func admit(
        _ grant: Grant, _ body: ForwardedBody, at target: some LeaseOrigins & JobConnectionLookup,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        // Requests without a lease are most of all, and need nothing of what follows.
        guard grant.route.lease != nil else {
            if exchange.keyed != nil { return try await admitKey(grant, body, &stream, &exchange) }
            try limits.chargeWork(grant, &exchange, now: loop.now)
            return .begins(nil)
        }
        return try await admitLease(grant, body, at: target, &stream, &exchange)
    }

    /// A request with an idempotency key and without a lease.
    @inline(never)
    private func admitKey(
        _ grant: Grant, _ body: ForwardedBody, _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        while true {
            var request = AdmissionRequest(
                limits: limits.beginWork(grant, &exchange), lease: nil, key: exchange.keyed?.claim, loop: loop)
            let outcome = store.admit(&request, now: moment)
            limits.endWork(request.limits, &exchange)
            switch consume outcome {
            case .admitted(.none, let record):
                limits.count(exchange)
                keys.opened(record, &exchange)
                exchange.mark(.admit)
                return .begins(nil)
            case .limited: throw limited(exchange)
            case .known:
                if let response = try await keys.findResponse(grant, body, &stream, &exchange) {
                    return .responds(response)
                }
            case .notRecorded(let refusal): throw keys.failure(refusal, &exchange)
            // The request asks for no lease.
            default: throw Failure(.internalError, at: .admit)
            }
        }
    }

    private func limited(_ exchange: borrowing Exchange) -> Failure {
        Failure(.rateLimited(limits.refusal(exchange)), at: .admit)
    }

    // Not inlined, so that its frame is not part of those of requests without a lease.
    @inline(never)
    private func admitLease(
        _ grant: Grant, _ body: ForwardedBody, at target: some LeaseOrigins & JobConnectionLookup,
        _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        let claim = try claim(grant, body, stream.request, at: target, &exchange)
        let jobDeadline = loop.now + (claim.origin.responseTimeout ?? AdmitStage.maxJobWait)
        var wait = ConnectionWait(grant, stream.request, &exchange, now: loop.now)
        while true {
            var request = AdmissionRequest(
                limits: limits.beginWork(grant, &exchange), lease: claim, key: exchange.keyed?.claim, place: wait.place,
                loop: loop)
            let moment = moment
            let outcome = store.admit(&request, now: moment)
            limits.endWork(request.limits, &exchange)
            switch consume outcome {
            case .admitted(.some(let lease), let record):
                keys.opened(record, &exchange)
                limits.count(exchange)
                exchange.leaseGeneration = lease.generation
                if wait.ended() { exchange.outcome = .waited }
                exchange.mark(.admit)
                return .begins(lease)
            // The claim above asks for a lease.
            case .admitted(.none, _): throw Failure(.internalError, at: .admit)
            case .limited: throw limited(exchange)
            case .known:
                wait.leave()
                if let response = try await keys.findResponse(grant, body, &stream, &exchange) {
                    return .responds(response)
                }
            case .notRecorded(let refusal): throw keys.failure(refusal, &exchange)
            case .capped(let cap):
                limits.counts.limitExceeded(cap.name, isEnforced: true)
                let refusal = leases.refusal(by: cap, claim, now: moment)
                throw Failure(.tooManyJobs(refusal), at: .admit)
            case .conflict(let conflict):
                // Responses to earlier pipelined requests must not wait for this one, nor a place for a client that reads slowly.
                if wait.isWanted(now: loop.now), !(await stream.flush()) { throw Failure(.clientGone, at: .admit) }
                // The first time without a place, because most requests do not need one.
                guard wait.begin(on: claim.key, of: leases, in: waitingRoom, loop), !drain.isAnnounced else {
                    throw failure(conflict, claim)
                }
            case .queued(let conflict):
                guard try await awaitTurn(wait, &stream, &exchange) else { throw failure(conflict, claim) }
            case .shared(let shared):
                wait.leave()
                switch shared.progress {
                case .job(let job): return try await respond(shared, job, claim, &exchange)
                case .tooManyWaiters: throw failure(shared.conflict, claim)
                case .awaited(let waiter):
                    let start = loop.now
                    let outcome = try await awaitJob(with: waiter, of: shared, claim, before: jobDeadline, &stream)
                    exchange.waited(from: start, to: loop.now)
                    switch outcome {
                    // A cancelled job is no answer to a request for a new one.
                    case .job(let job) where job.phase == .cancelled: throw failure(shared.conflict, claim)
                    case .job(let job): return try await respond(shared, job, claim, &exchange)
                    // The other request began no work, so this one may.
                    case .nothing: continue
                    // Its work may have been done already. The client has to look, and may ask again.
                    case .unknown: throw failure(shared.conflict, claim)
                    }
                }
            }
        }
    }

    /// How long a request waits for the job of another one if the upstream has no time-out.
    private static let maxJobWait = Duration.seconds(75)

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
        // With an idempotency key the key says what the same request is.
        let resendWindow = exchange.keyed == nil ? grant.route.resendWindow : nil
        if resendWindow != nil {
            fingerprint = fingerprints.fingerprint(of: request, body, exchange.bodyValue)
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
            resendWindow: resendWindow, onConflict: grant.route.onConflict.response,
            caps: organization.jobCaps)
    }

    /// What the request's claim would get now; `nil` if it takes no lease. Changes nothing.
    func preview(
        _ grant: Grant, _ body: ForwardedBody, _ request: borrowing Request,
        at target: some LeaseOrigins & JobConnectionLookup, _ exchange: inout Exchange
    ) throws(Failure) -> LeasePreview? {
        guard grant.route.lease != nil else { return nil }
        let claim = try claim(grant, body, request, at: target, &exchange)
        return leases.preview(claim, now: moment)
    }

    /// Waits until it may be the request's turn. Returns `false` if it must not wait any longer.
    private func awaitTurn(
        _ wait: ConnectionWait, _ stream: inout some ClientStream & ~Copyable, _ exchange: inout Exchange
    ) async throws(Failure) -> Bool {
        let start = loop.now
        guard let place = wait.place, start < wait.deadline, !drain.isAnnounced else { return false }
        // In short steps, to notice a client that leaves, and to keep the polls of the job frequent.
        _ = await place.waiter.wait(before: min(wait.deadline, start + .seconds(1)))
        exchange.waited(from: start, to: loop.now)
        if stream.watch.isPeerClosing { throw Failure(.clientGone, at: .admit) }
        return true
    }

    /// Waits for the job that is the response to this request.
    private func awaitJob(
        with waiter: LeaseWaiter, of shared: SharedLease, _ claim: LeaseClaim, before deadline: Instant,
        _ stream: inout some ClientStream & ~Copyable
    ) async throws(Failure) -> LeaseWaiter.Outcome {
        // Responses to earlier pipelined requests must not wait for this one.
        var isClientThere = await stream.flush()
        while isClientThere, loop.now < deadline {
            // In short steps, to notice a client that leaves.
            if let outcome = await waiter.wait(before: min(deadline, loop.now + .seconds(1))) { return outcome }
            isClientThere = !stream.watch.isPeerClosing
        }
        let outcome = leases.stopWaiting(waiter, for: shared, on: claim.key)
        guard isClientThere else { throw Failure(.clientGone, at: .admit) }
        guard let outcome else {
            // The lease may have changed since the wait began.
            throw failure(leases.conflict(of: claim, now: moment) ?? shared.conflict, claim)
        }
        return outcome
    }

    private func respond(
        _ shared: SharedLease, _ job: LeaseJob, _ claim: LeaseClaim, _ exchange: inout Exchange
    ) async throws(Failure) -> Admission {
        let work = IdempotencyWork(
            lease: claim.key, generation: shared.generation, kind: shared.conflict.kind, family: claim.family)
        if let known = try await keys.keep(job, of: work, &exchange, now: moment) { return .responds(known) }
        exchange.outcome = shared.outcome
        exchange.startedJob = job.id
        exchange.leaseGeneration = shared.generation
        exchange.mark(.admit)
        return .responds(RunningJobResponse.response(job, on: claim.key.connection, claim.family))
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
