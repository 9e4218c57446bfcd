internal import Transport

/// The last eight jobs of one connection that have ended: their durations, for the `Retry-After` of a refused caller, their ids, and
/// the last end.
struct EndedJobs: Sendable {
    private var milliseconds = InlineArray<8, Int64>(repeating: 0)
    private var count = 0
    private var next = 0
    /// Digests of the ids. If two ids had the same one, a job would be called somebody else's, and so nobody's.
    private var ids = InlineArray<8, Int>(repeating: 0)
    private var nextID = 0
    private(set) var lastEnd = Instant(nanoseconds: 0)

    mutating func append(_ duration: Int64, end: Instant) {
        lastEnd = end
        milliseconds[next] = max(duration, 0)
        next = (next + 1) % 8
        count = min(count + 1, 8)
    }

    /// The job belonged to a lease.
    mutating func append(_ id: String) {
        ids[nextID] = id.hashValue
        nextID = (nextID + 1) % 8
    }

    func contains(_ id: String) -> Bool {
        let digest = id.hashValue
        return (0..<8).contains { ids[$0] == digest }
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
