import Policy
import TestSupport
import Transport

@testable import Gateway

// Requests with a lease, on their way through the gateway to the upstream and back.
extension SimulatedWorld {
    func forward() {
        let reserved = requests.filter { !$0.isSent && $0.lease != nil }
        guard let request = reserved.randomElement(using: &random) else { return }
        if gateway.isDurable(request.position) {
            request.lease?.forwarded(at: clock.instant)
            request.progress = .sent(at: clock.now, arrivesAt: clock.now + number(in: 0..<Self.responseTimeout))
            sent(request.facts)
        } else if !gateway.journal.isAvailable || chance(8) {
            tell("request \(request.facts.number) gets 503: the disk cannot store its lease")
            requests.removeAll { $0 === request }
            request.lease.take()?.release()
            refund(request)
        }
    }

    private func sent(_ facts: RequestFacts) {
        tell("request \(facts.number) is sent upstream with generation \(facts.generation)")
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
        requests.removeAll { request in
            guard request.lease == nil, case .answered = request.progress else { return false }
            return true
        }
    }

    /// The upstream begins the work, or refuses it. It does not look whether other jobs run: that is what the gateway is for.
    private func work(on facts: RequestFacts) -> SimulatedRequest.Answer {
        if chance(6) {
            let status = [400, 409, 409, 500, 503][number(in: 0..<5)]
            return .refused(status, isTurnedAway: status == 503)
        }
        guard facts.kind.lifetime == .job else { return .refused(200, isTurnedAway: false) }
        checkStart(of: facts)
        counts.started += 1
        let again = facts.kind.name == "sync" && chance(2)
        if again { counts.again += 1 }
        let job = upstream.start(facts.intent.connection, for: facts, again: again, now: clock.now, &random)
        tell("request \(facts.number) starts \(job.id) on \(job.connection)")
        return .started(job.id)
    }

    func answer() {
        guard let index = requests.indices.randomElement(using: &random), let lease = requests[index].lease.take()
        else { return }
        let request = requests[index]
        switch request.progress {
        case .reserved: request.lease = consume lease
        // The gateway gives up; the request may still arrive.
        case .sent: lose(lease, request)
        case .answered(let answer):
            requests.remove(at: index)
            if chance(4) { return lose(lease, request) }
            deliver(answer, to: lease, request)
        }
    }

    private func lose(_ lease: consuming Lease, _ request: SimulatedRequest) {
        counts.lost += 1
        tell("the response to request \(request.facts.number) is lost")
        if case .answered(.started(let id)) = request.progress { lateAnswers.append((request.facts, id)) }
        if mutation == .freesLostRequest { return lease.release() }
        // The connection to the upstream broke, or a proxy gave up.
        if chance(2) { lease.conclude(status: 502, started: nil, now: clock.moment) } else { lease.leaveUncertain() }
    }

    private func deliver(_ answer: SimulatedRequest.Answer, to lease: consuming Lease, _ request: SimulatedRequest) {
        let number = request.facts.number
        switch answer {
        case .started(let id):
            guard let job = upstream.job(id), !chance(5) else {
                tell("the response to request \(number) names no job")
                return lease.conclude(status: 202, started: nil, now: clock.moment)
            }
            tell("the response to request \(number) names \(id)")
            // It has the first state of the job, or the present one.
            var shown = upstream.shown(job, clock)
            if chance(2) { shown = LeaseJob(id: id, type: shown.type, status: "pending", startedAt: shown.startedAt) }
            lease.conclude(status: 200, started: shown, now: clock.moment)
        case .refused(let status, let isTurnedAway):
            tell("the response to request \(number) is \(status)")
            let stranger = upstream.visible(on: request.facts.intent.connection, clock.now).first { job in
                job.isAtWork(clock.now) && job.request == nil && job.status == "running"
            }
            if status == 409, lease.isForJob, let stranger {
                tell("the lease of request \(number) becomes that of \(stranger.id)")
                _ = lease.adopt(upstream.shown(stranger, clock), now: clock.moment)
            } else {
                lease.conclude(status: status, started: nil, isTurnedAway: isTurnedAway, now: clock.moment)
            }
        }
    }
}
