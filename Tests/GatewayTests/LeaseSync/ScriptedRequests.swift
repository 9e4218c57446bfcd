import Policy
import Synchronization
import Transport

@testable import Gateway

/// An upstream that answers the gateway's questions as a test tells it, and remembers them.
final class ScriptedRequests: InternalRequesting {
    struct PollID: Equatable {
        let target: String
        let organization: String
    }

    private struct State {
        var statuses: [String: InternalResponse] = [:]
        var asked: [PollID] = []
        var deadlines: [Instant] = []
        var underWay = 0
        var maxUnderWay = 0
        var gate: Gate?
    }

    private let state = Mutex(State())

    /// What is said to whoever asks for `target`; everything else is answered with a failure.
    func statuses(_ target: String, _ status: Int = 200, _ body: String = "") {
        state.withLock { $0.statuses[target] = InternalResponse(status: status, body: Array(body.utf8)) }
    }

    /// Answers wait until `gate` is open.
    func wait(for gate: Gate) { state.withLock { $0.gate = gate } }

    var asked: [PollID] { state.withLock { $0.asked } }

    var targets: [String] { asked.map(\.target) }

    var deadlines: [Instant] { state.withLock { $0.deadlines } }

    /// How many questions there were at the same time.
    var maxUnderWay: Int { state.withLock { $0.maxUnderWay } }

    func get(_ target: String, for organization: String, before deadline: Instant) async throws(UpstreamFailure)
        -> InternalResponse
    {
        let gate = state.withLock { state in
            state.asked.append(PollID(target: target, organization: organization))
            state.deadlines.append(deadline)
            state.underWay += 1
            state.maxUnderWay = max(state.maxUnderWay, state.underWay)
            return state.gate
        }
        await gate?.pass()
        let answer = state.withLock { state in
            state.underWay -= 1
            return state.statuses[target]
        }
        guard let answer else { throw .responseTimeout }
        return answer
    }

    /// The paths of the API.
    static let path: JobPath = { shown, family, _, organization, connection, job in
        switch (family, shown) {
        case (.aitronos, .job): job.map { "/orgs/\(organization)/jobs/\($0)" }
        case (.aitronos, .jobs): "/orgs/\(organization)/jobs"
        case (.airweave, .jobs): connection.map { "/source-connections/\($0)/jobs" }
        case (.airweave, .job), (.other, _): nil
        }
    }

    static func listTarget(_ connection: String, organization: String = "o") -> String {
        "/orgs/\(organization)/jobs?connection_id=\(connection)&order_by=createdAt%7CDESC&limit=100"
    }
}

extension JobPollSchedule {
    /// The leases to ask about now, at most `room`.
    mutating func due(_ leases: [PolledLease], now: Instant, room: Int) -> [PolledLease] {
        _ = record(leases, now: now)
        var due: [PolledLease] = []
        while due.count < room {
            let leases = next(now: now)
            if leases.isEmpty { break }
            due += leases
        }
        return due
    }
}

extension JobStatus {
    var isUnknown: Bool { if case .unknown = self { true } else { false } }
}
