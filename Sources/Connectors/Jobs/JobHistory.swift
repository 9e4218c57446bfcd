/// The jobs of one connection in the order they were created; the oldest ended ones are forgotten.
struct JobHistory: Sendable {
    /// One job as it was at some moment. A reference, so that a list of thousands is taken in one step.
    final class Snapshot: Sendable {
        let job: Job

        init(_ job: Job) { self.job = job }
    }

    private(set) var all: [Snapshot] = []
    private var firstSequence = 0

    /// Adds the newest job and returns the number it keeps.
    mutating func append(_ job: Job) -> Int {
        all.append(Snapshot(job))
        return firstSequence + all.count - 1
    }

    subscript(sequence: Int) -> Job? {
        let index = sequence - firstSequence
        return all.indices.contains(index) ? all[index].job : nil
    }

    mutating func replace(_ sequence: Int, with snapshot: Snapshot) {
        let index = sequence - firstSequence
        if all.indices.contains(index) { all[index] = snapshot }
    }

    /// Forgets the oldest jobs beyond `limit` and returns their ids. Only the newest job can still run.
    mutating func trim(to limit: Int) -> [String] {
        // Not one by one: each time moves all the others.
        guard all.count > limit + max(1, limit / 8) else { return [] }
        let surplus = all.count - limit
        let forgotten = all.prefix(surplus).map(\.job.id)
        all.removeFirst(surplus)
        firstSequence += surplus
        return forgotten
    }

    /// The seconds until `job` will probably have ended, judged by the connection's last jobs.
    func expectedWait(for job: Job, at now: Timestamp) -> Int64 {
        guard let expected = recentDuration else { return 2 }
        let elapsed = now.milliseconds - (job.startedAt ?? job.createdAt).milliseconds
        return min(600, (expected - elapsed + 999) / 1000)
    }

    /// The typical duration of what ended well lately, in milliseconds.
    private var recentDuration: Int64? {
        let durations = all.suffix(8).compactMap { $0.job.status == .succeeded ? $0.job.durationMilliseconds : nil }
        guard !durations.isEmpty else { return nil }
        return durations.sorted()[durations.count / 2]
    }
}
