import Policy
import TestSupport
import Transport

@testable import Gateway

/// The whole simulated world: the real admission code, and models of all that is around it. One step is one call.
///
/// An actor is a case of ``Action`` and a method, in the file of its kind. An invariant is a case of ``Invariant`` and a check in
/// `SimulatedWorld+Invariants.swift`, or a call of `violated` where the act itself shows it.
final class SimulatedWorld {
    let mutation: Mutation?
    let loop: EventLoop
    var random: SeededRandom
    var clock = SimulatedClock()
    var upstream: SimulatedUpstream
    var gateway: SimulatedGateway
    let allPolicies: [SimulatedPolicies]
    var policies: SimulatedPolicies

    var requests: [SimulatedRequest] = []
    var waiting: [WaitingClient] = []
    /// What was sent lately, for clients that send it again.
    var intents: [Intent] = []
    var nextRequest = 1
    var openPolls: [OpenPoll] = []
    var passing: [PassingJob] = []
    /// Responses to requests that the gateway has given up.
    var lateAnswers: [(request: RequestFacts, job: String)] = []
    /// Places that nobody waits at, for a seeded bug.
    var keptPlaces: [QueuePlace] = []

    var limits = ReferenceLimits()
    /// The greatest generation of each connection: given by this process, and sent upstream by any.
    var givenGenerations: [String: UInt64] = [:]
    var sentGenerations: [String: UInt64] = [:]
    /// The request that was sent last, of each connection and kind.
    var sentByKind: [String: [String: RequestFacts]] = [:]

    private(set) var violation: Violation?
    var counts = SimulationCounts()
    /// What happened, line by line; kept only for a replay.
    private(set) var story: [String] = []
    private let tells: Bool

    static let connections = ["c0", "c1"]
    /// The longest time that a request may take at the upstream, in milliseconds.
    static let responseTimeout = 4000

    init(seed: UInt64, mutation: Mutation?, tells: Bool, on loop: EventLoop) {
        random = SeededRandom(state: seed)
        self.mutation = mutation
        self.loop = loop
        self.tells = tells
        upstream = SimulatedUpstream(tellsTimes: Bool.random(using: &random))
        gateway = SimulatedGateway(mutation)
        allPolicies = SimulatedPolicies.all(settles: mutation != .ignoresSettle)
        policies = allPolicies[0]
    }

    /// Takes a step, and lets everything arrive that is due by then.
    func take(_ step: Step) {
        random = SeededRandom(state: step.seed)
        clock.advance(number(in: 0..<60))
        act(step.action)
        arrive()
        check()
    }

    private func act(_ action: Action) {
        switch action {
        case .request: sendNew()
        case .resend: sendAgain()
        case .plainRequest: sendPlain()
        case .takeTurn: takeTurn()
        case .takeAnswer: takeAnswer()
        case .leave: leave()
        case .cancel: cancel()
        case .lookAtJob: lookAtJob()
        case .forward: forward()
        case .answer: answer()
        case .endJob: endJob()
        case .callCancelled: callCancelled()
        case .startStrangersJob: startStrangersJob()
        case .tick: tick()
        case .readPoll: readPoll()
        case .deliverPoll: deliverPoll()
        case .writeJournal: gateway.journal.writePending()
        case .breakDisk: breakDisk()
        case .mendDisk: gateway.disk.fails { _ in false }
        case .crash: crash()
        case .crashInWrite: crashInWrite()
        case .setClock: setClock()
        case .reloadPolicies: reloadPolicies()
        }
    }

    // Choices, and what is told.

    func number(in range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    func chance(_ oneIn: Int) -> Bool { number(in: 0..<oneIn) == 0 }

    func tell(_ line: @autoclosure () -> String) {
        guard tells else { return }
        story.append("\(Double(clock.now - 1_000_000) / 1000) s  \(line())")
    }

    /// The first violation counts.
    func violated(_ invariant: Invariant, _ detail: @autoclosure () -> String) {
        guard violation == nil else { return }
        violation = Violation(invariant: invariant, detail: detail())
        tell("VIOLATED: \(invariant.rawValue): \(detail())")
    }

    func key(_ connection: String) -> LeaseKey { LeaseKey(organization: "o", connection: connection) }
}

/// How much has happened, so that a test can say that a run was worth making.
struct SimulationCounts {
    var steps = 0
    var granted = 0
    var conflicts = 0
    var limited = 0
    var shared = 0
    var queued = 0
    var crashes = 0
    var lost = 0
    var started = 0
    var zombies = 0
    var denials = 0
    var again = 0

    static func += (one: inout SimulationCounts, other: SimulationCounts) {
        one.steps += other.steps
        one.granted += other.granted
        one.conflicts += other.conflicts
        one.limited += other.limited
        one.shared += other.shared
        one.queued += other.queued
        one.crashes += other.crashes
        one.lost += other.lost
        one.started += other.started
        one.zombies += other.zombies
        one.denials += other.denials
        one.again += other.again
    }
}
