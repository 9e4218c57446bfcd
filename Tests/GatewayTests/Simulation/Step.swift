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
    case request, resend, plainRequest, takeTurn, takeAnswer, leave, cancel, lookAtJob
    // Requests on their way through the gateway.
    case forward, answer
    // The upstream, and people who use it without the gateway.
    case endJob, callCancelled, startStrangersJob
    // The gateway's own work.
    case tick, readPoll, deliverPoll, writeJournal
    // Faults, and operators.
    case breakDisk, mendDisk, crash, crashInWrite, setClock, reloadPolicies

    /// How often it happens in a hundred steps, about.
    private var weight: Int {
        switch self {
        case .request: 9
        case .forward, .answer, .writeJournal, .readPoll, .deliverPoll: 11
        case .tick: 8
        case .lookAtJob: 8
        case .resend, .takeTurn: 4
        case .endJob: 6
        case .callCancelled, .cancel: 3
        case .plainRequest, .takeAnswer, .leave, .crash, .breakDisk, .mendDisk, .startStrangersJob: 1
        case .crashInWrite, .setClock, .reloadPolicies: 1
        }
    }

    fileprivate static let bag = allCases.flatMap { Array(repeating: $0, count: $0.weight) }
}
