import Transport

/// Leaves out steps as long as the same invariant fails: first halves, then smaller and smaller parts.
struct Shrinker {
    let simulation: Simulation
    let invariant: Invariant
    let loop: EventLoop

    /// Enough for a few dozen steps; a replay need not be the very shortest.
    private static let maxRuns = 2000

    func shrink(_ steps: [Step]) async -> [Step] {
        var steps = steps
        var size = max(steps.count / 2, 1)
        var runs = 0
        while true {
            var start = 0
            var isShorter = false
            while start < steps.count, runs < Self.maxRuns {
                let shorter = Array(steps[..<start] + steps[min(start + size, steps.count)...])
                runs += 1
                if await simulation.run(shorter, on: loop).violation?.invariant == invariant {
                    steps = shorter
                    isShorter = true
                } else {
                    start += size
                }
            }
            if runs >= Self.maxRuns || (size == 1 && !isShorter) { return steps }
            size = max(size / 2, 1)
        }
    }
}
