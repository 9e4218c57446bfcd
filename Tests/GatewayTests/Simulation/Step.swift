import TestSupport

/// One step of a simulation. Its choices come from its own seed, so it stays what it is if other steps are left out.
struct Step {
    let action: Action
    let seed: UInt64

    /// The steps that a seed stands for.
    static func plan(_ seed: UInt64, count: Int) -> [Step] {
        var random = SeededRandom(state: seed)
        return (0..<count).map { _ in
            Step(action: Action.bag.randomElement(using: &random) ?? .tick, seed: random.next())
        }
    }
}

/// Who does something in a step. Between any two steps every other actor may come in, and every fault.
enum Action: CaseIterable {
    // Clients.
    case request, quickRequest, resend, keyedRequest, reuseKey, plainRequest, takeTurn, takeAnswer, leave, cancel,
        lookAtJob
    // Requests on their way through the gateway.
    case forward, answer
    // The upstream, and people who use it without the gateway.
    case endJob, callCancelled, startStrangersJob
    // The gateway's own work.
    case tick, readPoll, deliverPoll, deliverEvent, writeJournal
    // Faults, and operators.
    case breakDisk, mendDisk, crash, crashInWrite, setClock, reloadPolicies

    /// How often it happens, compared with the others. Faults are rare, so that there is something for them to break.
    private var weight: Int {
        switch self {
        case .writeJournal: 28
        case .forward, .answer: 24
        case .readPoll, .deliverPoll: 22
        case .request, .quickRequest, .tick: 16
        case .lookAtJob: 20
        case .resend, .deliverEvent, .endJob: 12
        case .takeTurn, .takeAnswer: 8
        case .callCancelled, .cancel, .keyedRequest: 4
        case .reuseKey, .plainRequest, .leave, .startStrangersJob, .mendDisk: 2
        case .crash, .crashInWrite, .breakDisk, .setClock, .reloadPolicies: 1
        }
    }

    fileprivate static let bag = allCases.flatMap { Array(repeating: $0, count: $0.weight) }
}
