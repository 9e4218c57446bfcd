import TestSupport
import Transport

@testable import Gateway

/// Runs the steps of a seed, and finds the fewest that still break an invariant.
struct Simulation {
    let seed: UInt64
    var mutation: Mutation?

    static let stepsPerSeed = 400

    struct Run {
        let violation: Violation?
        /// The number of steps that were taken.
        let steps: Int
        let counts: SimulationCounts
        let story: [String]
    }

    var steps: [Step] { Step.plan(seed, count: Self.stepsPerSeed) }

    /// On the loop only: what is woken is woken at once, and in order.
    func run(_ steps: [Step], tells: Bool = false, on loop: EventLoop) async -> Run {
        let world = SimulatedWorld(seed: seed, mutation: mutation, tells: tells, on: loop)
        var taken = 0
        for step in steps where world.violation == nil {
            world.take(step)
            taken += 1
            await checkTurns(of: world)
        }
        if world.violation == nil { world.comeToRest() }
        world.counts.steps = taken
        return Run(
            violation: world.violation, steps: taken, counts: world.counts,
            story: world.story)
    }

    private func checkTurns(of world: SimulatedWorld) async {
        for (index, place) in world.nextInTurn {
            // Returns at once if it was woken.
            let isWoken = await place.waiter.wait(before: Instant(nanoseconds: 0))
            world.wasWoken(index, isWoken)
        }
    }

    /// The smallest replay of a violation, as text that a person can follow.
    func report(_ run: Run, on loop: EventLoop) async -> String {
        guard let violation = run.violation else { return "nothing is violated" }
        let steps = await Shrinker(simulation: self, invariant: violation.invariant, loop: loop).shrink(
            Array(steps.prefix(run.steps)))
        let replay = await self.run(steps, tells: true, on: loop)
        return """
            seed \(seed) violates: \(violation.invariant.rawValue)
            \(replay.violation?.detail ?? violation.detail)
            \(steps.count) of \(run.steps) steps are enough: \(steps.map { "\($0.action)" }.joined(separator: ", "))
            \(replay.story.joined(separator: "\n"))
            """
    }
}
