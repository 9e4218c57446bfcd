import Policy
import TestSupport
import Transport

@testable import Gateway

// What must hold after every step.
extension SimulatedWorld {
    func check() {
        for job in upstream.atWork(clock.now) {
            guard let request = job.request else { continue }
            checkLease(of: request, "\(job.id), which works")
        }
        for request in requests {
            if case .sent = request.progress {
                checkLease(of: request.facts, "request \(request.facts.number), which was sent")
            }
        }
        checkWaiters()
    }

    /// Work of a kind that excludes itself must be in the way of the same kind.
    private func checkLease(of facts: RequestFacts, _ what: @autoclosure () -> String) {
        guard facts.kind.lifetime == .job, facts.matrix.excludes(facts.kind, facts.kind) else { return }
        let key = key(facts.intent.connection)
        if gateway.leases.conflict(key, kind: facts.kind, matrix: facts.matrix, now: clock.moment) == nil {
            violated(.leased, "\(what()) on \(key.connection), has no lease")
        }
    }

    /// A job begins for a request. What else works must be allowed beside it.
    func checkStart(of facts: RequestFacts) {
        // A job of this process belongs to no token after a restart.
        for cap in facts.caps where cap.scope == .organization || !isLocal {
            let earlier = upstream.atWork(clock.now).compactMap(\.request).count {
                $0.number < facts.number && (cap.scope == .organization || $0.intent.subject == facts.intent.subject)
            }
            if earlier >= cap.max { violated(.caps, "\(earlier + 1) jobs work under the cap \(cap.name)") }
        }
        for other in upstream.atWork(clock.now) where other.connection == facts.intent.connection {
            guard let request = other.request else { continue }
            guard facts.excludes(request) else { continue }
            if request.intent == facts.intent, let window = facts.resendWindow,
                clock.instant(facts.grantedAt) < clock.instant(request.grantedAt) + window
            {
                violated(.resends, "request \(facts.number) starts a second job beside \(other.id)")
            } else {
                violated(
                    .exclusion,
                    "request \(facts.number) (\(facts.kind.name)) begins while \(other.id) works on \(other.connection)"
                )
            }
        }
    }

    private func checkWaiters() {
        for client in waiting {
            let key = key(client.intent.connection)
            switch client.wait {
            case .job(let waiter, let shared):
                guard waiter.current == nil else { continue }
                let lease = gateway.entries(on: key).first { $0.serial == shared.serial }
                guard let lease, lease.waiters.contains(where: { $0 === waiter }) else {
                    violated(.waiters, "\(client.intent.name) on \(key.connection)")
                    continue
                }
                // One that settles names a job only to show it; its waiters go on when it is over.
                if shared.outcome == .deduplicated, lease.state != .settling, let job = lease.job,
                    lease.mayHaveStarted(job)
                {
                    violated(.waiters, "\(client.intent.name) is not told of \(job.id)")
                }
            case .turn(let place, _):
                if !gateway.queue(on: key).contains(where: { $0.id == place.id }) {
                    violated(.places, "place \(place.id) on \(key.connection) is lost")
                }
            case .first: break
            }
        }
        let places = waiting.count { if case .turn = $0.wait { true } else { false } }
        let queued = Self.connections.reduce(0) { $0 + gateway.queue(on: key($1)).count }
        if queued != places { violated(.places, "\(queued) places, but \(places) requests wait") }
    }

    /// A claim got its lease: nobody may have waited before it for what it has now. Places have their numbers in the order of arrival.
    func checkOrder(_ claim: LeaseClaim, _ place: QueuePlace?) {
        for client in waiting {
            guard case .turn(let other, let earlier) = client.wait, earlier.key == claim.key else { continue }
            if other.id < place?.id ?? .max, claim.matrix.excludes(claim.kind, earlier.kind) {
                violated(.order, "\(claim.kind.name) on \(claim.key.connection) overtakes place \(other.id)")
            }
        }
    }

    /// A claim did not get its lease: the same request must not be the one that is in its way.
    func checkResend(_ intent: Intent, _ claim: LeaseClaim) {
        guard let window = claim.resendWindow, claim.kind.lifetime == .job else { return }
        for request in requests where request.lease != nil && request.facts.intent == intent {
            let end = clock.instant(request.facts.grantedAt) + window
            guard claim.matrix.excludes(claim.kind, request.facts.kind), clock.instant < end else { continue }
            violated(.resends, "\(intent.name) is refused because of itself")
        }
    }

    /// The requests that are next on their connection, and must have been woken.
    var nextInTurn: [(index: Int, place: QueuePlace)] {
        waiting.indices.compactMap { index in
            guard case .turn(let place, let claim) = waiting[index].wait, !waiting[index].isWoken else { return nil }
            let before = gateway.queue(on: claim.key).prefix { $0.id != place.id }
            // A lease whose settle time is over is removed within a second.
            let isFree =
                !gateway.entries(on: claim.key).contains { claim.matrix.excludes(claim.kind, $0.kind) }
                && !before.contains { claim.matrix.excludes(claim.kind, $0.kind) }
            return isFree ? (index, place) : nil
        }
    }

    func wasWoken(_ index: Int, _ isWoken: Bool) {
        waiting[index].isWoken = isWoken
        if !isWoken {
            violated(.turns, "\(waiting[index].intent.name) on \(waiting[index].intent.connection)")
        }
    }
}

// The end of a run.
extension SimulatedWorld {
    /// The time within which all leases end once all work is over: two polls at their longest distance, the settle time, and the
    /// time in which a lost request may begin its work.
    static let bound = 2 * 16_500 + SimulatedPolicies.longestSettle + responseTimeout + 2 * 2000 + 5000

    /// Everything becomes quiet and honest: requests are answered, clients leave, jobs end. Then each lease must end.
    func comeToRest() {
        random = SeededRandom(state: 1)
        gateway.disk.fails { _ in false }
        while !waiting.isEmpty { leave() }
        for _ in 0..<200 where !requests.isEmpty {
            gateway.retryJournals()
            gateway.writeJournals()
            clock.advance(50)
            forward()
            arrive()
            answer()
        }
        concludeRecords()
        clock.advance(SimulatedUpstream.maxZombie)
        for job in upstream.atWork(clock.now) {
            end(job, as: "succeeded")
        }
        let end = clock.now
        while violation == nil, gateway.leases.usage() != LeaseTable.Usage() {
            if clock.now > end + Self.bound {
                return violated(
                    .ends,
                    "\(gateway.entries.map { "\($0.lease.kind.name) \($0.lease.state)" }) after \(clock.now - end) ms")
            }
            tick()
            deliverAll()
            check()
        }
        checkRecordsAtRest()
    }

    private func deliverAll() {
        if isLocal {
            while !events.isEmpty { deliverEvent() }
            readList()
            deliverList(mayFail: false)
        } else {
            for poll in openPolls where poll.answer == nil { deliver(upstream.answer(poll.lease, clock), to: poll) }
            for poll in openPolls { if let answer = poll.answer { deliver(answer, to: poll) } }
            for poll in echoes { if let answer = poll.answer { deliver(answer, to: poll) } }
            (openPolls, echoes) = ([], [])
        }
    }

    /// No lease is left, so each record knows what became of its request, or that nobody does. In the end there are none.
    private func checkRecordsAtRest() {
        gateway.records.sweep(now: clock.instant)
        let usage = gateway.records.usage()
        if let open = usage.records[.started], open > 0 {
            violated(.records, "\(open) requests are called in progress")
        }
        for intent in intents {
            guard let key = claim(of: intent), let finding = gateway.records.find(key, now: clock.instant) else {
                continue
            }
            check(finding, for: intent, key)
            if case .inProgress = finding {
                violated(.records, "\(intent.name) is called in progress, and no lease is left")
            }
        }
        clock.advance(SimulatedPolicies.longestKeepSeconds * 1000 + 2 * Self.mostClockError)
        gateway.records.sweep(now: clock.instant)
        let left = gateway.records.usage()
        if left.bytes > 0 || !left.records.isEmpty {
            violated(.records, "\(left.records) are left, with \(left.bytes) bytes")
        }
        gateway.retryJournals()
        gateway.writeJournals()
    }
}
