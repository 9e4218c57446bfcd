import Foundation
import Synchronization
import Testing
import Transport

@testable import Gateway

/// Admission in simulated worlds: see the article Simulation.
@Suite("Simulation of admission")
struct SimulationTests {
    /// More seeds by hand: `SIMULATION_SEEDS=10000 swift test --filter SimulationTests`.
    private static let seeds = environment("SIMULATION_SEEDS") ?? 100
    /// Each seeded bug has to be found within these.
    private static let seedsPerBug = 400
    /// The first seed, to repeat one.
    private static let first = environment("SIMULATION_SEED") ?? 0

    private static func environment(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test("Simulation: every invariant holds after every step")
    func invariants() async throws {
        let (counts, report) = try await onLoop { loop in
            var counts = SimulationCounts()
            for seed in Self.first..<Self.first + Self.seeds {
                let simulation = Simulation(seed: UInt64(seed))
                let run = await simulation.run(simulation.steps, on: loop)
                counts += run.counts
                if run.violation != nil { return (counts, await simulation.report(run, on: loop)) }
            }
            return (counts, "")
        }
        print("simulation: \(Self.seeds) seeds, \(counts)")
        #expect(report == "", "\(report)")
    }

    @Test("Simulation: each seeded bug is found", arguments: Mutation.allCases)
    func mutations(mutation: Mutation) async throws {
        let (found, report) = try await onLoop { loop in
            for seed in 0..<UInt64(Self.seedsPerBug) {
                let simulation = Simulation(seed: seed, mutation: mutation)
                let run = await simulation.run(simulation.steps, on: loop)
                if run.violation != nil { return (true, "\(seed): \(await simulation.report(run, on: loop))") }
            }
            return (false, "")
        }
        if ProcessInfo.processInfo.environment["SIMULATION_REPORTS"] != nil { print("\(mutation): \(report)") }
        #expect(found, "nothing found that \(mutation.rawValue)")
    }

    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (EventLoop) async -> Value) async throws -> Value {
        let loop = try EventLoop(index: -9)
        let thread = WorkThread(name: "simulation") { loop.run() }
        let value = await Task(executorPreference: loop) { await body(loop) }.value
        loop.perform { loop.stop() }
        thread.join()
        return value
    }
}
