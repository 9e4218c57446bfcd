import Policy
import TestSupport
import Transport

@testable import Gateway

// Clients: they send, send again, wait, cancel, look, and leave.
extension SimulatedWorld {
    func sendNew() {
        let names = ["sync", "sync", "sync", "refresh", "refresh", "export", "state"]
        let name = names[number(in: 0..<names.count)]
        sendNew(policies.matrix.kind(named: name) == nil ? "sync" : name, hasKey: chance(2))
    }

    /// A request with a key and without a lease.
    func sendKeyed() { sendNew(Intent.plain.name, hasKey: true) }

    private func sendNew(_ kind: String, hasKey: Bool) {
        if hasKey { lastKey += 1 }
        let intent = Intent(
            subject: number(in: 0..<3), body: number(in: 0..<1000), connection: Self.connections[number(in: 0..<2)],
            kind: kind, onConflict: ConflictRule.Response.allCases[number(in: 0..<4)], key: hasKey ? lastKey : nil)
        if intents.count == 6 { intents.removeFirst() }
        intents.append(intent)
        send(intent)
    }

    func sendAgain() {
        guard let intent = intents.randomElement(using: &random) else { return }
        tell("\(intent.name) is sent again")
        send(intent)
    }

    /// A client uses a key for another request.
    func reuseKey() {
        guard var intent = intents.filter({ $0.key != nil }).randomElement(using: &random) else { return }
        intent.body += 1
        tell("the key of \(intent.name) is sent with another body")
        send(intent)
    }

    /// A request without lease and key, which only charges its limits.
    func sendPlain() {
        let rules = rules("c0", cost: chance(2) ? 1 : 2)
        var request = AdmissionRequest(limits: batch(rules), lease: nil, loop: loop)
        let time = clock.now - number(in: 0..<40)
        var isAdmitted = false
        if case .admitted = gateway.admit(&request, now: clock.moment(time)) { isAdmitted = true }
        _ = charge(request.limits, rules, isAdmitted: isAdmitted, at: time)
    }

    func send(_ intent: Intent) {
        if let key = claim(of: intent), respondFromRecord(intent, key) { return }
        guard intent.takesLease else { return decide(intent, nil, at: nil) }
        guard let kind = policies.matrix.kind(named: intent.kind) else { return }
        let claim = LeaseClaim(
            key: key(intent.connection), kind: kind, family: .aitronos,
            origin: LeaseOrigin(
                responseTimeout: .milliseconds(Self.responseTimeout), mayRestart: intent.kind == "sync"),
            matrix: policies.matrix, owner: intent.owner(ignoringBody: mutation == .ignoresFingerprint),
            resendWindow: intent.key == nil ? policies.resendWindow : nil, onConflict: intent.onConflict,
            caps: policies.caps)
        decide(intent, claim, at: nil)
    }

    /// What a request with a key asks of the records.
    func claim(of intent: Intent) -> IdempotencyClaim? {
        intent.claim(keepSeconds: policies.keepSeconds, ignoringBody: mutation == .ignoresBody)
    }

    /// One call of the store, and what the pipeline does with its outcome.
    private func decide(_ intent: Intent, _ claim: LeaseClaim?, at place: QueuePlace?) {
        let place =
            place ?? claim.flatMap { intent.onConflict == .wait ? gateway.leases.place(on: $0.key, for: loop) : nil }
        // A worker's clock is a little behind.
        let time = clock.now - number(in: 0..<40)
        let rules = rules(intent.connection, cost: intent.kind == "refresh" ? 2 : 1)
        let key = mutation == .executesReplays ? nil : self.claim(of: intent)
        var request = AdmissionRequest(
            limits: batch(rules), lease: claim.map(changedByBug), key: key, place: place, loop: loop)
        switch gateway.admit(&request, now: clock.moment(time)) {
        case .admitted(.some(let lease), let record):
            guard let claim else { return violated(.leased, "a lease that nobody asked for") }
            counts.granted += 1
            tell("\(intent.name) gets \(intent.kind) on \(intent.connection), generation \(lease.generation)")
            checkOrder(claim, place)
            checkCaps(claim, isAdmitted: true)
            begin(lease, record, intent, claim, request.limits, rules, at: time)
        case .admitted(.none, let record):
            guard claim == nil else { return violated(.leased, "admitted without a lease") }
            counts.granted += 1
            tell("\(intent.name) may \(intent.kind)")
            begin(nil, record, intent, nil, request.limits, rules, at: time)
        case .limited:
            counts.limited += 1
            tell("\(intent.name) is over its limit")
            _ = charge(request.limits, rules, isAdmitted: false, at: time)
        case .capped(let cap):
            counts.capped += 1
            tell("\(intent.name) is over the cap \(cap.name)")
            if let claim { checkCaps(claim, isAdmitted: false, cap) }
        case .conflict:
            counts.conflicts += 1
            tell("\(intent.name) is refused: \(intent.kind) on \(intent.connection) conflicts")
            if let claim { checkResend(intent, claim) }
        case .queued:
            guard let claim, let place else { return violated(.places, "queued without a place") }
            counts.queued += 1
            tell("\(intent.name) waits for \(intent.connection) at place \(place.id)")
            checkResend(intent, claim)
            if mutation == .servesLastFirst { gateway.changeQueue(on: claim.key) { $0.insert($0.removeLast(), at: 0) } }
            if mutation == .wakesSomebodyElse { wakeSomebodyElse(at: place, on: claim.key) }
            waiting.append(WaitingClient(intent: intent, wait: .turn(place, claim)))
        case .shared(let shared):
            guard let claim else { return violated(.resends, "a request without a lease shares one") }
            share(shared, intent, claim)
        case .known(let finding):
            guard let key else { return violated(.keys, "no key was sent") }
            check(finding, for: intent, key)
            // It may have expired since the decision.
            if !respondFromRecord(intent, key) { send(intent) }
        case .notRecorded(let refusal):
            counts.unrecorded += 1
            tell("\(intent.name) gets no record: \(refusal)")
            if refusal == .unavailable, gateway.recordJournal.isAvailable {
                violated(.records, "the disk works, and cannot store the record of \(intent.name)")
            }
        }
    }

    /// What some of the seeded bugs make of a claim.
    private func changedByBug(_ claim: LeaseClaim) -> LeaseClaim {
        let kinds = claim.matrix.kinds
        return LeaseClaim(
            key: claim.key, kind: claim.kind, family: claim.family, origin: claim.origin,
            matrix: mutation == .ignoresMatrix
                ? ConcurrencyMatrix(kinds: kinds, conflicts: kinds.map { _ in [] }) : claim.matrix,
            owner: claim.owner, resendWindow: claim.resendWindow, onConflict: claim.onConflict,
            caps: mutation == .ignoresCaps ? [] : claim.caps)
    }

    private func wakeSomebodyElse(at place: QueuePlace, on key: LeaseKey) {
        let other = Waiter(loop: loop)
        gateway.changeQueue(on: key) { queue in
            guard let index = queue.firstIndex(where: { $0.id == place.id }) else { return }
            let claim = queue[index]
            queue[index] = QueuedClaim(
                id: claim.id, kind: claim.kind, waiter: other, owner: claim.owner, since: claim.since, traceID: nil)
        }
    }

    private func begin(
        _ lease: consuming Lease?, _ record: OpenRecord?, _ intent: Intent, _ claim: LeaseClaim?,
        _ limits: RateLimitBatch, _ rules: [ReferenceLimits.Rule], at time: Int
    ) {
        let generation = lease?.generation ?? 0
        var facts = RequestFacts(
            number: nextRequest, intent: intent, kind: claim?.kind ?? Intent.plain,
            matrix: claim?.matrix ?? policies.matrix, resendWindow: claim?.resendWindow, caps: claim?.caps ?? [],
            grantedAt: clock.now, generation: generation)
        facts.record = begin(record, intent, at: time)
        nextRequest += 1
        if claim != nil {
            if generation <= givenGenerations[intent.connection] ?? 0 {
                violated(
                    .generations,
                    "\(intent.connection) gets \(generation) after \(givenGenerations[intent.connection] ?? 0)")
            }
            givenGenerations[intent.connection] = generation
            if mutation == .countsJobsTwice {
                let serial = UInt64.max - UInt64(facts.number)
                _ = gateway.leases.tracker.running.begin(serial, on: key(intent.connection), of: claim?.owner?.token)
            }
        }
        let charged = charge(limits, rules, isAdmitted: true, at: time)
        requests.append(SimulatedRequest(lease, record, facts, limits: limits, charged: charged))
    }

    private func share(_ shared: SharedLease, _ intent: Intent, _ claim: LeaseClaim) {
        counts.shared += 1
        switch shared.progress {
        case .job(let job): answered(intent, with: job, shared)
        case .tooManyWaiters: tell("\(intent.name): too many wait")
        case .awaited(let waiter):
            tell("\(intent.name) waits for the job of generation \(shared.generation)")
            if mutation == .losesWaiter { _ = gateway.leases.stopWaiting(waiter, for: shared, on: claim.key) }
            waiting.append(WaitingClient(intent: intent, wait: .job(waiter, shared)))
        }
    }

    private func answered(_ intent: Intent, with job: LeaseJob, _ shared: SharedLease) {
        tell("\(intent.name) is answered with \(job.id), \(shared.outcome.rawValue)")
        guard shared.outcome == .deduplicated, let request = upstream.job(job.id)?.request, request.intent != intent
        else { return }
        // A job that a list showed may be that of another request of the same kind.
        let lease = gateway.entries(on: key(intent.connection)).first { $0.serial == shared.serial }
        guard let lease, !lease.hadGuess || request.kind.name != intent.kind else { return }
        violated(.resends, "\(intent.name) is answered with \(job.id) of \(request.intent.name)")
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

    /// A request that waits for a job gets it, or begins again if its lease ended without one. One that waits for the first request
    /// with its key looks what has become of it.
    func takeAnswer() {
        for index in waiting.indices {
            switch waiting[index].wait {
            case .turn: continue
            case .first(let waiter, let key):
                guard chance(2) else { continue }
                let client = waiting.remove(at: index)
                gateway.records.stopWaiting(waiter, for: key.id)
                send(client.intent)
            case .job(let waiter, let shared):
                guard let outcome = waiter.current else { continue }
                let client = waiting.remove(at: index)
                switch outcome {
                case .job(let job): answered(client.intent, with: job, shared)
                case .unknown: break
                case .nothing: send(client.intent)
                }
            }
            return
        }
    }

    /// A client that waits closes its connection, or its time is over.
    func leave() {
        guard let index = waiting.indices.randomElement(using: &random) else { return }
        let client = waiting.remove(at: index)
        tell("\(client.intent.name) does not wait any more")
        switch client.wait {
        case .job(let waiter, let shared):
            _ = gateway.leases.stopWaiting(waiter, for: shared, on: key(client.intent.connection))
        case .turn(let place, _): if mutation == .keepsPlace { keptPlaces.append(place) }
        case .first(let waiter, let key): gateway.records.stopWaiting(waiter, for: key.id)
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
        // The gateway of a local upstream learns nothing in passing.
        guard !isLocal else { return }
        if chance(2) {
            // The gateway sends the request now, and the upstream answers it now or later. Old responses that come late matter most.
            let jobs = Self.connections.flatMap { upstream.visible(on: $0, clock.now).suffix(1) }
            guard passing.count < 4, let job = jobs.randomElement(using: &random) else { return }
            let shown = chance(2) ? upstream.shown(job, clock) : nil
            let revision = gateway.leases.revision()
            return passing.append(
                PassingJob(revision: revision, connection: job.connection, id: job.id, shown: shown))
        }
        guard let index = passing.indices.randomElement(using: &random) else { return }
        let passed = passing[index]
        guard let shown = passed.shown ?? upstream.job(passed.id).map({ upstream.shown($0, clock) }) else { return }
        passing[index].shown = shown
        if !chance(4) { passing.remove(at: index) }
        tell("a response shows \(shown.id): \(shown.status)")
        let revision = mutation == .believesOldResponse ? gateway.leases.revision() : passed.revision
        gateway.leases.jobShown(key(passed.connection), shown, asOf: revision, now: clock.moment)
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

extension Intent {
    /// The request, for people.
    var name: String { "ci-\(subject)'s request \(key.map { "with key \($0)" } ?? "\(body)")" }
}
