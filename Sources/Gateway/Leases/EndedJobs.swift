internal import Transport

/// The last eight jobs of one connection: their durations, for the `Retry-After` of a refused caller, the last end, and which jobs
/// are over, so that no lease whose response was lost takes the job of another one for its own.
struct EndedJobs: Sendable {
    private var milliseconds = InlineArray<8, Int64>(repeating: 0)
    private var count = 0
    private var next = 0
    private(set) var lastEnd: Instant?
    /// The jobs that are over, in the order in which that was learned. A hash of the id takes less memory than the id.
    private var over: [(job: Int, since: Instant)] = []

    mutating func append(_ duration: Int64, end: Instant) {
        lastEnd = end
        milliseconds[next] = max(duration, 0)
        next = (next + 1) % 8
        count = min(count + 1, 8)
    }

    /// The job belongs to no lease that began at `since` or later: it was over before. Without `since` it belongs to no lease at
    /// all, because it was that of another one.
    mutating func jobIsOver(_ id: String, since: Instant = Instant(nanoseconds: 0)) {
        let job = id.hashValue
        if over.contains(where: { $0.job == job && $0.since <= since }) { return }
        over.removeAll { $0.job == job }
        if over.count == 8 { over.removeFirst() }
        over.append((job, since))
    }

    /// Whether the job is over, as far as the last ones are known.
    func isOver(_ id: String) -> Bool { over.contains { $0.job == id.hashValue } }

    /// Whether the job was over, or another lease's, before a lease that began at `instant`.
    func wasOver(_ id: String, at instant: Instant) -> Bool {
        over.contains { $0.job == id.hashValue && $0.since <= instant }
    }

    /// The milliseconds that a job of this age probably still needs: the shortest past duration that is at least the
    /// median and longer than `age`, less `age`. `nil` when there is none.
    func remaining(age: Int64) -> Int64? {
        var sorted: [Int64] = []
        for index in 0..<count { sorted.append(milliseconds[index]) }
        sorted.sort()
        return sorted[(count / 2)...].first { $0 > age }.map { $0 - age }
    }
}
