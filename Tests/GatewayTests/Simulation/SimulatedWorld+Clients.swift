import Policy
import TestSupport
import Transport

@testable import Gateway

// Clients: they send, send again, wait, cancel, look, and leave.
extension SimulatedWorld {
    func sendNew() {
        let names = ["sync", "sync", "sync", "refresh", "refresh", "export", "state"]
        let name = names[number(in: 0..<names.count)]
        let conflict = ConflictRule.Response.allCases[number(in: 0..<4)]
        let intent = Intent(
            subject: number(in: 0..<3), body: number(in: 0..<1000), connection: Self.connections[number(in: 0..<2)],
            kind: policies.matrix.kind(named: name) == nil ? "sync" : name, onConflict: conflict)
        if intents.count == 6 { intents.removeFirst() }
        intents.append(intent)
        send(intent)
    }

    func sendAgain() {
        guard let intent = intents.randomElement(using: &random), policies.matrix.kind(named: intent.kind) != nil else {
            return
        }
        tell("\(intent.owner.subject) sends its request again")
        send(intent)
    }

    /// A request without a lease, which only charges its limits.
    func sendPlain() {
        var request = AdmissionRequest(limits: batch("c0"), lease: nil, loop: loop)
        let time = clock.now - number(in: 0..<40)
        var isAdmitted = false
        if case .admitted = gateway.admit(&request, now: clock.moment(time)) { isAdmitted = true }
        charged(request.limits, "c0", isAdmitted: isAdmitted, at: time)
    }

    private func send(_ intent: Intent, at place: QueuePlace? = nil) {
        guard let kind = policies.matrix.kind(named: intent.kind) else { return }
        let claim = LeaseClaim(
            key: key(intent.connection), kind: kind, family: .aitronos,
            origin: LeaseOrigin(
                responseTimeout: .milliseconds(Self.responseTimeout), mayRestart: intent.kind == "sync"),
            matrix: policies.matrix, owner: intent.owner, resendWindow: policies.resendWindow,
            onConflict: intent.onConflict)
        decide(intent, claim, at: place)
    }

    /// One call of the store, and what the pipeline does with its outcome.
    private func decide(_ intent: Intent, _ claim: LeaseClaim, at place: QueuePlace?) {
        let place = place ?? (intent.onConflict == .wait ? gateway.leases.place(on: claim.key, for: loop) : nil)
        let queueBefore = gateway.queue(on: claim.key)
        // A worker's clock is a little behind.
        let time = clock.now - number(in: 0..<40)
        var request = AdmissionRequest(limits: batch(intent.connection), lease: claim, place: place, loop: loop)
        switch gateway.admit(&request, now: clock.moment(time)) {
        case .admitted(.some(let lease), _):
            counts.granted += 1
            tell("\(intent.owner.subject) gets \(intent.kind) on \(intent.connection), generation \(lease.generation)")
            charged(request.limits, intent.connection, isAdmitted: true, at: time)
            checkOrder(claim, place, queueBefore)
            begin(lease, intent, claim, request.limits)
        case .admitted(.none, _): violated(.leased, "admitted without a lease")
        case .limited:
            counts.limited += 1
            tell("\(intent.owner.subject) is over its limit")
            charged(request.limits, intent.connection, isAdmitted: false, at: time)
        case .conflict:
            counts.conflicts += 1
            tell("\(intent.owner.subject) is refused: \(intent.kind) on \(intent.connection) conflicts")
        case .queued:
            counts.queued += 1
            guard let place else { return violated(.places, "queued without a place") }
            tell("\(intent.owner.subject) waits for \(intent.connection) at place \(place.id)")
            waiting.append(WaitingClient(intent: intent, wait: .turn(place, claim)))
        case .shared(let shared): share(shared, intent, claim)
        case .known: violated(.resends, "no idempotency key was sent")
        case .notRecorded: violated(.resends, "no idempotency key was sent")
        case .capped: violated(.leased, "no cap is set")
        }
    }

    private func begin(_ lease: consuming Lease, _ intent: Intent, _ claim: LeaseClaim, _ limits: RateLimitBatch) {
        let facts = RequestFacts(
            number: nextRequest, intent: intent, kind: claim.kind, matrix: claim.matrix,
            resendWindow: claim.resendWindow,
            grantedAt: clock.now, generation: lease.generation)
        nextRequest += 1
        if facts.generation <= givenGenerations[intent.connection] ?? 0 {
            violated(
                .generations,
                "\(intent.connection) gets \(facts.generation) after \(givenGenerations[intent.connection] ?? 0)")
        }
        givenGenerations[intent.connection] = facts.generation
        requests.append(SimulatedRequest(lease, facts, limits: limits))
    }

    private func share(_ shared: SharedLease, _ intent: Intent, _ claim: LeaseClaim) {
        counts.shared += 1
        switch shared.progress {
        case .job(let job): answered(intent, with: job, shared)
        case .tooManyWaiters: tell("\(intent.owner.subject): too many wait")
        case .awaited(let waiter):
            tell("\(intent.owner.subject) waits for the job of generation \(shared.generation)")
            if mutation == .losesWaiter { _ = gateway.leases.stopWaiting(waiter, for: shared, on: claim.key) }
            waiting.append(WaitingClient(intent: intent, wait: .job(waiter, shared)))
        }
    }

    private func answered(_ intent: Intent, with job: LeaseJob, _ shared: SharedLease) {
        tell("\(intent.owner.subject) is answered with \(job.id), \(shared.outcome.rawValue)")
        guard shared.outcome == .deduplicated, let truth = upstream.job(job.id), let request = truth.request else {
            return
        }
        if request.intent != intent, request.kind.name != intent.kind {
            violated(.resends, "\(intent) is answered with \(job.id) of \(request.intent)")
        }
    }

    /// A request that waits for its connection decides again.
    func takeTurn() {
        let places = waiting.indices.filter { if case .turn = waiting[$0].wait { true } else { false } }
        guard let index = places.randomElement(using: &random), case .turn(let place, let claim) = waiting[index].wait
        else {
            return
        }
        let client = waiting.remove(at: index)
        decide(client.intent, claim, at: place)
    }

    /// A request that waits for a job gets it, or begins again if its lease ended without one.
    func takeAnswer() {
        for index in waiting.indices {
            guard case .job(let waiter, let shared) = waiting[index].wait, let outcome = waiter.current else {
                continue
            }
            let client = waiting.remove(at: index)
            switch outcome {
            case .job(let job): answered(client.intent, with: job, shared)
            case .unknown: break
            case .nothing: if policies.matrix.kind(named: client.intent.kind) != nil { send(client.intent) }
            }
            return
        }
    }

    /// A client that waits closes its connection, or its time is over.
    func leave() {
        guard let index = waiting.indices.randomElement(using: &random) else { return }
        let client = waiting.remove(at: index)
        tell("\(client.intent.owner.subject) does not wait any more")
        switch client.wait {
        case .job(let waiter, let shared):
            _ = gateway.leases.stopWaiting(waiter, for: shared, on: key(client.intent.connection))
        case .turn(let place, _): if mutation == .keepsPlace { keptPlaces.append(place) }
        }
    }

    /// The upstream accepts the cancellation of a job.
    func cancel() {
        guard let job = upstream.atWork(clock.now).filter({ $0.status == "running" }).randomElement(using: &random)
        else { return }
        tell("\(job.id) is being cancelled")
        upstream.change(job.id) { $0.status = "cancelling" }
        gateway.leases.cancelAccepted(key(job.connection), jobID: job.id)
    }

    /// A client looks at a job. The response passes the gateway at any later time, perhaps twice.
    func lookAtJob() {
        let jobs = Self.connections.flatMap { upstream.visible(on: $0, clock.now).suffix(1) }
        if passing.count < 6, let job = jobs.randomElement(using: &random) {
            // The gateway sends the request now, and the upstream answers it later.
            passing.append(PassingJob(revision: gateway.leases.revision(), connection: job.connection, id: job.id))
        }
        guard chance(2), let index = passing.indices.randomElement(using: &random) else { return }
        if passing[index].shown == nil, let job = upstream.job(passing[index].id) {
            passing[index].shown = upstream.shown(job, clock)
            if chance(2) { return }
        }
        let passed = passing[index]
        if !chance(4) { passing.remove(at: index) }
        guard let shown = passed.shown else { return }
        tell("a response shows \(shown.id): \(shown.status)")
        gateway.leases.jobShown(key(passed.connection), shown, asOf: passed.revision, now: clock.moment)
    }
}

/// A job object on its way to a client.
struct PassingJob {
    let revision: LeaseRevision
    let connection: String
    let id: String
    /// What the upstream said, once it has.
    var shown: LeaseJob?
}

// Limits.
extension SimulatedWorld {
    private func rules(_ connection: String) -> [ReferenceLimits.Rule] {
        [
            ReferenceLimits.Rule(name: "organization", period: 1_700_000_000, burst: 4),
            ReferenceLimits.Rule(name: connection, period: 4_900_000_000, burst: 2),
        ]
    }

    private func batch(_ connection: String) -> RateLimitBatch {
        var batch = RateLimitBatch()
        for rule in rules(connection) {
            var hasher = gateway.limiter.keyHasher
            hasher.combine(rule.name)
            batch.append(RateLimit(key: hasher.finish(), count: 1, period: rule.period, burst: rule.burst))
        }
        return batch
    }

    /// The limiter has decided: the reference must agree, and have as many units left.
    private func charged(_ batch: RateLimitBatch, _ connection: String, isAdmitted: Bool, at time: Int) {
        let rules = rules(connection)
        let expected = limits.take(rules, now: clock.instant(time).nanoseconds)
        if expected != isAdmitted {
            violated(.limits, "\(connection): \(isAdmitted ? "admitted" : "refused"), the reference says otherwise")
        }
        for (rule, limit) in zip(rules, batch.limits) where limit.remaining != limits.remaining(rule) {
            violated(.limits, "\(rule.name) has \(limit.remaining) units left, not \(limits.remaining(rule))")
        }
    }

    /// The work of the request never began.
    func refund(_ request: SimulatedRequest) {
        let rules = rules(request.facts.intent.connection)
        limits.refund(rules, takenAt: request.limits.takenAt, now: clock.instant.nanoseconds)
        gateway.refund(&request.limits, now: clock.instant)
    }
}
