import Policy
import TestSupport
import Transport

@testable import Gateway

// Admitted requests, on their way through the gateway to the upstream and back.
extension SimulatedWorld {
    func forward() {
        let reserved = requests.filter { !$0.isSent && $0.isAttended }
        guard let request = reserved.randomElement(using: &random) else { return }
        if request.isDurable(in: gateway) {
            send(request)
            checkOrder(of: request.facts)
        } else if !gateway.isDiskAvailable || chance(20) {
            tell("request \(request.facts.number) gets 503: the disk cannot store its lease or record")
            requests.removeAll { $0 === request }
            request.lease.take()?.release()
            request.record.take()?.conclude(.foundNothing)
            refund(request)
        }
    }

    /// A request whose way to the upstream and back takes no time.
    func sendQuickly() {
        let next = nextRequest
        sendNew()
        gateway.writeJournals()
        guard nextRequest > next, let request = requests.last, request.isDurable(in: gateway) else { return }
        send(request)
        checkOrder(of: request.facts)
        request.progress = .sent(at: clock.now, arrivesAt: clock.now)
        arrive()
        if case .answered(let answer) = request.progress {
            requests.removeAll { $0 === request }
            deliver(answer, to: request)
        }
    }

    private func send(_ request: SimulatedRequest) {
        let facts = request.facts
        tell("request \(facts.number) is sent upstream with generation \(facts.generation)")
        request.lease?.forwarded(at: clock.instant)
        request.progress = .sent(at: clock.now, arrivesAt: clock.now + number(in: 0..<Self.responseTimeout))
    }

    /// The upstream may sort out requests by their generation.
    private func checkOrder(of facts: RequestFacts) {
        guard facts.generation > 0 else { return }
        let connection = facts.intent.connection
        // Of operations that may run side by side, the later one may be sent first.
        for other in sentByKind[connection, default: [:]].values where other.generation >= facts.generation {
            guard facts.excludes(other) else { continue }
            violated(
                .generations, "\(connection) sends \(facts.generation) after \(other.generation) of \(other.kind.name)")
        }
        sentByKind[connection, default: [:]][facts.kind.name] = facts
        sentGenerations[connection] = max(sentGenerations[connection] ?? 0, facts.generation)
    }

    /// Requests reach the upstream, those of a process that is no more included.
    func arrive() {
        for request in requests {
            guard case .sent(_, let time) = request.progress, time <= clock.now else { continue }
            request.progress = .answered(work(on: request.facts))
        }
        requests.removeAll { !$0.isAttended && $0.isAnswered }
    }

    /// The upstream begins the work, or refuses it. It does not look whether other jobs run: that is what the gateway is for.
    private func work(on facts: RequestFacts) -> SimulatedRequest.Answer {
        if chance(6) {
            let status = [400, 409, 409, 500, 503][number(in: 0..<5)]
            return .refused(status, isTurnedAway: status == 503)
        }
        guard facts.kind.lifetime == .job else {
            executed(facts, "request \(facts.number)")
            return .done
        }
        checkStart(of: facts)
        counts.started += 1
        let again = !isLocal && facts.kind.name == "sync" && !chance(4)
        if again { counts.again += 1 }
        let job = upstream.start(facts.intent.connection, for: facts, again: again, now: clock.now, &random)
        tell("request \(facts.number) starts \(job.id) on \(job.connection)")
        executed(facts, job.id)
        report(job.id)
        return .started(job.id)
    }

    func answer() {
        if chance(2) { concludeRecords() }
        let attended = requests.filter(\.isAttended)
        guard let request = attended.randomElement(using: &random) else { return }
        switch request.progress {
        case .reserved: break
        // The gateway gives up; the request may still arrive. The service in this process always answers.
        case .sent: if !isLocal, chance(2) { lose(request) }
        case .answered(let answer):
            requests.removeAll { $0 === request }
            if chance(4) { return lose(request) }
            deliver(answer, to: request)
        }
    }

    private func lose(_ request: SimulatedRequest) {
        counts.lost += 1
        tell("the response to request \(request.facts.number) is lost")
        if case .answered(.started(let id)) = request.progress { lateAnswers.append((request.facts, id)) }
        request.isAttended = false
        if let lease = request.lease.take() {
            if mutation == .freesLostRequest {
                lease.release()
            } else if chance(2) {
                // The connection to the upstream broke, or a proxy gave up.
                lease.conclude(status: 502, started: nil, now: clock.moment)
            } else {
                lease.leaveUncertain()
            }
        }
        loseRecord(of: request)
    }

    private func deliver(_ answer: SimulatedRequest.Answer, to request: SimulatedRequest) {
        let number = request.facts.number
        switch answer {
        case .started(let id):
            guard let job = upstream.job(id), !chance(5) else {
                tell("the response to request \(number) names no job")
                request.lease.take()?.conclude(status: 202, started: nil, now: clock.moment)
                return conclude(request, status: 202, "accepted")
            }
            tell("the response to request \(number) names \(id)")
            // It has the first state of the job, or the present one.
            var shown = upstream.shown(job, clock)
            if chance(2) { shown = LeaseJob(id: id, type: shown.type, status: "pending", startedAt: shown.startedAt) }
            request.lease.take()?.conclude(status: 200, started: shown, now: clock.moment)
            conclude(request, status: 200, "\(id) \(shown.status)")
        case .done:
            tell("the response to request \(number) says that it is done")
            request.lease.take()?.conclude(status: 200, started: nil, now: clock.moment)
            conclude(request, status: 200, "request \(number) is done")
        case .refused(let status, let isTurnedAway): refuse(request, status, isTurnedAway)
        }
    }

    private func refuse(_ request: SimulatedRequest, _ status: Int, _ isTurnedAway: Bool) {
        let number = request.facts.number
        tell("the response to request \(number) is \(status)")
        if status == 409, !isLocal, request.lease?.isForJob ?? false {
            switch findCause(of: request) {
            case .runs(let stranger):
                tell("the lease of request \(number) becomes that of \(stranger.id)")
                _ = request.lease.take()?.adopt(upstream.shown(stranger, clock), now: clock.moment)
                return conclude(request, status: status, "conflict")
            case .isOver:
                counts.lags += 1
                tell("nothing runs any more, so request \(number) is sent again")
                request.lease?.undoForwarded()
                requests.append(request)
                return send(request)
            case .isUnknown: break
            }
        }
        request.lease.take()?.conclude(status: status, started: nil, isTurnedAway: isTurnedAway, now: clock.moment)
        conclude(request, status: status, isTurnedAway: isTurnedAway, "error \(status)")
        if status < 500 || isTurnedAway { refund(request) }
    }

    private enum Cause {
        case runs(SimulatedUpstream.Job)
        case isOver, isUnknown
    }

    /// As `UpstreamLag` asks, if the upstream says 409 although the connection is free here.
    private func findCause(of request: SimulatedRequest) -> Cause {
        let connection = request.facts.intent.connection
        let running = upstream.visible(on: connection, clock.now).filter {
            ["running", "cancelling"].contains($0.status)
        }
        if let stranger = running.first(where: { !gateway.leases.hasLease(request.key, jobID: $0.id) }) {
            return stranger.request == nil && stranger.status == "running" ? .runs(stranger) : .isUnknown
        }
        let isRecent = gateway.leases.hasEnded(request.key, within: .seconds(60), now: clock.instant)
        return running.isEmpty && isRecent ? .isOver : .isUnknown
    }
}
