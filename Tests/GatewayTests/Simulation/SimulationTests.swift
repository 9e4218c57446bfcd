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
    /// Each seeded bug has to be found within so many.
    private static let seedsPerBug: UInt64 = 1500
    /// The first seed, to repeat one.
    private static let first = environment("SIMULATION_SEED") ?? 0

    private static func environment(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test("Simulation: every invariant holds after every step")
    func invariants() async throws {
        let (counts, reports) = try await onLoop { loop in
            var counts = SimulationCounts()
            var reports: [Invariant: String] = [:]
            for seed in Self.first..<Self.first + Self.seeds {
                let simulation = Simulation(seed: UInt64(seed))
                let run = await simulation.run(simulation.steps, on: loop)
                counts += run.counts
                guard let violation = run.violation else { continue }
                counts.violations += 1
                print("seed \(seed) violates: \(violation.invariant.rawValue): \(violation.detail)")
                // The first seed of each invariant is enough to begin with.
                if reports[violation.invariant] == nil {
                    reports[violation.invariant] = await simulation.report(run, on: loop)
                }
            }
            return (counts, reports)
        }
        print("simulation: \(Self.seeds) seeds, \(counts)")
        for (invariant, report) in reports { Issue.record("\(invariant): \(report)") }
    }

    @Test("Simulation: each seeded bug is found by its invariant", arguments: Mutation.allCases)
    func mutations(mutation: Mutation) async throws {
        let (found, report) = try await onLoop { loop in
            var others: Set<String> = []
            for seed in mutation.likelySeed..<mutation.likelySeed + Self.seedsPerBug {
                let simulation = Simulation(seed: seed, mutation: mutation)
                let run = await simulation.run(simulation.steps, on: loop)
                guard let violation = run.violation else { continue }
                if violation.invariant == mutation.breaks {
                    let isWanted = ProcessInfo.processInfo.environment["SIMULATION_REPORTS"] != nil
                    return (true, "seed \(seed) \(isWanted ? await simulation.report(run, on: loop) : "")")
                }
                others.insert("\(violation.invariant)")
            }
            return (false, "only \(others)")
        }
        print("simulation: \(mutation): \(report)")
        #expect(found, "nothing found that \(mutation.rawValue): \(report)")
    }

    @Test("Simulation: each invariant finds a seeded bug")
    func invariantsFindBugs() {
        #expect(Set(Mutation.allCases.map(\.breaks)) == Set(Invariant.allCases))
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
