import TestSupport
import Transport

@testable import Gateway

// Idempotency keys: what clients are told, and what is true.
extension SimulatedWorld {
    /// The first request with a key was admitted.
    func begin(_ record: OpenRecord?, _ intent: Intent, at time: Int) -> (id: IdempotencyRecordID, life: Int)? {
        guard let key = claim(of: intent) else { return nil }
        if record == nil, mutation != .executesReplays {
            violated(.keys, "\(intent.name) is admitted without a record")
        }
        counts.keys += 1
        if let life = keys.life(key.id, at: time) {
            let isUnderWay = requests.contains { $0.facts.record?.life == life.number && !$0.isAnswered }
            if !life.executions.isEmpty || isUnderWay {
                violated(.keys, "\(intent.name) begins again, after \(life.executions)")
            }
        }
        return (key.id, keys.begin(key, asking: intent.asks, at: time, clock.moment(time)))
    }

    /// Responds as `KeyStage` does, if an earlier request had the key.
    func respondFromRecord(_ intent: Intent, _ key: IdempotencyClaim) -> Bool {
        guard let finding = gateway.records.find(key, now: clock.instant) else { return false }
        if mutation == .executesReplays, case .response = finding { return false }
        check(finding, for: intent, key)
        tell("\(intent.name) finds \(finding.text)")
        counts.known += 1
        if case .inProgress = finding, chance(2) {
            let waiter = Waiter(loop: loop)
            _ = gateway.records.find(key, now: clock.instant, waiter: waiter)
            waiting.append(WaitingClient(intent: intent, wait: .first(waiter, key)))
        }
        return true
    }

    /// A record says this to a client.
    func check(_ finding: IdempotencyFinding, for intent: Intent, _ key: IdempotencyClaim) {
        guard let life = keys.life(key.id, at: clock.now) else { return }
        let isReused = if case .reused = finding { true } else { false }
        guard isReused == (life.asks != intent.asks) else {
            return violated(
                .answers, "\(intent.name) asks for \(intent.asks), the first one for \(life.asks): \(finding.text)")
        }
        switch finding {
        case .response(let response):
            guard let own = life.response, response == own || response == own.withoutBody && !life.isReplayed else {
                return violated(
                    .answers, "\(intent.name) is answered with \(finding.text), not with \(life.response?.text ?? "")")
            }
            if response == own { keys.change(key.id, life.number) { $0.isReplayed = true } }
        case .job(let job, _):
            let isStrangers = upstream.job(job.id).map { $0.request == nil } ?? true
            if life.isReplayed || !life.executions.contains(job.id) && !isStrangers
                || life.job.map({ $0 != job.id }) ?? false
            {
                violated(.answers, "\(intent.name) is answered with \(job.id), after \(life.executions)")
            }
            keys.change(key.id, life.number) { $0.job = job.id }
        case .inProgress(.started):
            let isOpen = requests.contains { $0.facts.record?.life == life.number && $0.record != nil }
            let isEnding = concluding.contains { $0.life == life.number }
            if !isOpen, !isEnding { violated(.records, "\(intent.name) is called in progress") }
        case .inProgress, .unknown:
            if life.response != nil, !life.hasCrashed {
                violated(.answers, "\(intent.name) has a response, and finds \(finding.text)")
            }
        case .reused: break
        }
    }

    /// The upstream executes a request with a key: a job, or something else.
    func executed(_ facts: RequestFacts, _ what: String) {
        guard let (id, number) = facts.record else { return }
        keys.change(id, number) { life in
            if !life.executions.isEmpty {
                violated(.keys, "request \(facts.number) is executed as \(what), after \(life.executions)")
            }
            life.executions.append(what)
        }
    }

    /// The client has its response, and the record learns it now or a little later.
    func conclude(_ request: SimulatedRequest, status: Int, isTurnedAway: Bool = false, _ text: String) {
        guard let record = request.record.take(), let (id, number) = request.facts.record else { return }
        let response = StoredResponse(status: status, contentType: "application/json", body: Array(text.utf8))
        // It may be too large to be kept.
        let kept = chance(8) ? response.withoutBody : response
        let event = StoredResponse.event(upstream: status, isTurnedAway: isTurnedAway, kept)
        if case .responded = event { keys.change(id, number) { $0.response = response } }
        var ending = EndingRecord(record: record, life: number, event: event)
        if mutation == .storesOtherResponse, case .responded(var other) = event {
            other.body = other.body.map { $0 + [0] }
            ending.event = .responded(other)
        }
        if mutation == .keepsRecord, chance(4) {
            keptRecords.append(record)
        } else if chance(3) {
            concluding.append(ending)
        } else {
            ending.record.conclude(ending.event)
        }
    }

    /// Nobody waits for the response any more.
    func loseRecord(of request: SimulatedRequest) {
        guard let record = request.record.take() else { return }
        counts.lostKeys += 1
        if mutation == .dropsLostRecord { return record.conclude(.foundNothing) }
        // Either the pipeline says so, or it just ends.
        if chance(2) { record.conclude(.lost) }
    }

    /// A record learns how its request has ended.
    func concludeRecords() {
        for ending in concluding { ending.record.conclude(ending.event) }
        concluding = []
    }
}

/// A record that has not learned yet what its client knows.
struct EndingRecord {
    let record: OpenRecord
    let life: Int
    var event: IdempotencyState.Event
}

extension IdempotencyFinding {
    /// For people.
    fileprivate var text: String {
        switch self {
        case .response(let response): "the response \(response.text)"
        case .job(let job, _): "the job \(job.id)"
        case .inProgress(let phase): "that it is in progress (\(phase.rawValue))"
        case .unknown: "that nobody knows what became of it"
        case .reused: "that its key was used for another request"
        }
    }
}

extension StoredResponse {
    fileprivate var text: String { "\(status) \(body.map { String(decoding: $0, as: UTF8.self) } ?? "without a body")" }
}
