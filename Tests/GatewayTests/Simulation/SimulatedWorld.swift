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
    /// Whether the upstream is in the gateway's process.
    let isLocal: Bool
    var gateway: SimulatedGateway
    let allPolicies: [SimulatedPolicies]
    var policies: SimulatedPolicies

    var requests: [SimulatedRequest] = []
    var waiting: [WaitingClient] = []
    /// What was sent lately, for clients that send it again.
    var intents: [Intent] = []
    var nextRequest = 1
    var openPolls: [OpenPoll] = []
    /// Answers to polls that come a second time.
    var echoes: [OpenPoll] = []
    var passing: [PassingJob] = []
    /// What the upstream in this process has to report, and the list of its jobs that is being read.
    var events: [RunningJob] = []
    var openList: OpenList?
    var secondsSinceList = 0
    /// Records that have not learned yet how their request has ended.
    var concluding: [EndingRecord] = []
    /// Records that nobody concludes, for a seeded bug.
    var keptRecords: [OpenRecord] = []
    /// Responses to requests that the gateway has given up.
    var lateAnswers: [(request: RequestFacts, job: String)] = []
    /// Places that nobody waits at, for a seeded bug.
    var keptPlaces: [QueuePlace] = []

    var limits = ReferenceLimits()
    var keys = ReferenceKeys()
    /// The number of the last idempotency key.
    var lastKey = 0
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
    /// The most by which the time of day may be wrong, in milliseconds.
    static let mostClockError = 7_200_000

    init(seed: UInt64, mutation: Mutation?, tells: Bool, on loop: EventLoop) {
        random = SeededRandom(state: seed)
        self.mutation = mutation
        self.loop = loop
        self.tells = tells
        isLocal = Int.random(in: 0..<4, using: &random) == 0
        upstream = SimulatedUpstream(
            tellsTimes: Bool.random(using: &random), showsAtOnce: isLocal)
        // In some worlds there is room for a few records only.
        let recordBytes = Bool.random(using: &random) ? 1 << 20 : 20 << 10
        gateway = SimulatedGateway(
            SimulatedGateway.Setup(mutation: mutation, isLocal: isLocal, recordBytes: recordBytes))
        // The service in this process runs one job on each connection.
        allPolicies = SimulatedPolicies.all(
            SimulatedPolicies.World(hasParallelKinds: !isLocal, settles: mutation != .ignoresSettle))
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
        case .quickRequest: sendQuickly()
        case .resend: sendAgain()
        case .keyedRequest: sendKeyed()
        case .reuseKey: reuseKey()
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
        case .deliverEvent: if isLocal { deliverEvent() }
        case .writeJournal: writeJournal()
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
    var capped = 0
    var refunds = 0
    var shared = 0
    var queued = 0
    var crashes = 0
    var lost = 0
    var lags = 0
    var started = 0
    var zombies = 0
    var denials = 0
    var again = 0
    var events = 0
    var lostEvents = 0
    var keys = 0
    var known = 0
    var lostKeys = 0
    var unrecorded = 0
    var violations = 0

    private static let all: [any WritableKeyPath<SimulationCounts, Int> & Sendable] = [
        \.steps, \.granted, \.conflicts, \.limited, \.capped, \.refunds, \.shared, \.queued, \.crashes, \.lost, \.lags,
        \.started,
        \.zombies, \.denials, \.again, \.events, \.lostEvents, \.keys, \.known, \.lostKeys, \.unrecorded, \.violations,
    ]

    static func += (one: inout SimulationCounts, other: SimulationCounts) {
        for count in all { one[keyPath: count] += other[keyPath: count] }
    }
}
