import Policy
import TestSupport

@testable import Gateway

// Jobs, and people who start some without the gateway.
extension SimulatedWorld {
    /// A job ends, and the upstream says so at once: the only lie about its end is CANCELLED.
    func endJob() {
        guard let job = upstream.atWork(clock.now).filter({ $0.worksUntil == .max }).randomElement(using: &random)
        else { return }
        end(job, as: chance(3) ? "failed" : "succeeded")
    }

    func end(_ job: SimulatedUpstream.Job, as status: String) {
        tell("\(job.id) ends: \(status)")
        upstream.change(job.id) { ($0.status, $0.worksUntil) = (status, clock.now) }
        report(job.id)
    }

    /// The upstream calls a job cancelled, whose work goes on for a while. The service in this process does not lie.
    func callCancelled() {
        let jobs = upstream.atWork(clock.now).filter { $0.worksUntil == .max }
        guard let job = (jobs.filter { $0.status == "cancelling" }.first ?? jobs.randomElement(using: &random)) else {
            return
        }
        if isLocal { return end(job, as: "cancelled") }
        let zombie = number(in: 0..<SimulatedUpstream.maxZombie)
        counts.zombies += 1
        tell("\(job.id) is called cancelled, and works on for \(zombie) ms")
        upstream.change(job.id) { ($0.status, $0.worksUntil) = ("cancelled", clock.now + zombie) }
    }

    func startStrangersJob() {
        let connection = Self.connections[number(in: 0..<2)]
        let runs = upstream.atWork(clock.now).contains { $0.request == nil && $0.connection == connection }
        guard !runs, !isLocal else { return }
        let job = upstream.start(connection, for: nil, again: false, now: clock.now, &random)
        tell("somebody starts \(job.id) on \(connection) without the gateway")
    }
}

// The gateway's polls.
extension SimulatedWorld {
    func tick() {
        clock.advance(1000)
        arrive()
        gateway.retryJournals()
        gateway.records.sweep(now: clock.instant)
        gateway.leases.removeSettled(now: clock.instant)
        if isLocal { return beginList() }
        if mutation == .bindsLateAnswer { bindLateAnswer() }
        let polled = gateway.leases.polledLeases().sorted { $0.serial < $1.serial }
        for lease in gateway.polls.record(polled, now: clock.instant) {
            gateway.leases.endRequest(lease.key, lease.serial)
        }
        sendPolls()
    }

    /// A seeded bug. The real gateway has no one who would take a response that it has given up.
    private func bindLateAnswer() {
        for (index, late) in lateAnswers.enumerated() {
            let key = key(late.request.intent.connection)
            guard let newer = gateway.entries(on: key).last(where: { $0.job == nil && $0.kind.lifetime == .job }),
                newer.generation > late.request.generation, let job = upstream.job(late.job)
            else { continue }
            gateway.leases.bind(key, newer.serial, upstream.shown(job, clock), now: clock.moment)
            lateAnswers.remove(at: index)
            return
        }
    }

    private func sendPolls() {
        while true {
            // Too few leases for a shared list.
            let leases = gateway.polls.next(now: clock.instant)
            if leases.isEmpty { return }
            for lease in leases {
                openPolls.append(OpenPoll(lease: lease, revision: gateway.leases.revision(), sentAt: clock.now))
            }
        }
    }

    /// The upstream answers a poll, or a list is read in this process. The answer may be on its way for long.
    func readPoll() {
        if isLocal { return readList() }
        guard let index = openPolls.indices.filter({ openPolls[$0].answer == nil }).randomElement(using: &random) else {
            return
        }
        let lease = openPolls[index].lease
        if chance(8) { return openPolls[index].answer = .unknown(.failed) }
        // Once in its life a job is denied although it runs.
        if let id = lease.job?.id, let job = upstream.job(id), !job.wasDenied, chance(2) {
            counts.denials += 1
            upstream.change(id) { $0.wasDenied = true }
            return openPolls[index].answer = .notFound
        }
        openPolls[index].answer = upstream.answer(lease, clock)
    }

    func deliverPoll() {
        if isLocal { return chance(2) ? deliverList() : () }
        if chance(4), let index = echoes.indices.randomElement(using: &random), let answer = echoes[index].answer {
            return deliver(answer, to: echoes.remove(at: index))
        }
        guard let index = openPolls.indices.randomElement(using: &random) else { return }
        let isLate = clock.now >= openPolls[index].sentAt + 10_000
        guard let answer = openPolls[index].answer ?? (isLate ? .unknown(.failed) : nil) else { return }
        let poll = openPolls[index]
        openPolls.remove(at: index)
        // It may come once more, much later.
        if poll.answer != nil { echoes = echoes.suffix(2) + [poll] }
        if mutation == .losesPolls, case .unknown = answer { return }
        deliver(answer, to: poll)
    }

    func deliver(_ answer: JobStatus, to poll: OpenPoll) {
        tell(
            "poll for generation-serial \(poll.lease.serial) on \(poll.lease.key.connection), sent at \(poll.sentAt): \(answer)"
        )
        let (leases, key) = (gateway.leases, poll.lease.key)
        switch (mutation, answer) {
        case (.freesOnFirstEmptyList, .jobs(let jobs)):
            _ = leases.resolve(
                key, poll.lease.serial, jobs: jobs, mayFree: true, asOf: poll.revision, now: clock.moment)
        case (.endsOnFirstNotFound, .notFound):
            if let job = poll.lease.job {
                let ended = LeaseJob(id: job.id, type: job.type, status: "succeeded")
                leases.jobShown(key, ended, asOf: poll.revision, now: clock.moment)
            }
        case (.believesOldPoll, .job(let job)):
            leases.jobShown(key, job, asOf: leases.revision(), now: clock.moment)
        default: break
        }
        leases.apply(
            answer, to: poll.lease, poll.revision, &gateway.polls,
            polledAt: clock.instant(poll.sentAt), now: clock.moment, jitter: 1.1)
    }
}

/// A poll that the gateway has sent.
struct OpenPoll {
    let lease: PolledLease
    let revision: LeaseRevision
    let sentAt: Int
    /// What the upstream said, once it has.
    var answer: JobStatus?
}
