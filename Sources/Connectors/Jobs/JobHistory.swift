/// The jobs of one connection in the order of their creation, without the oldest ended ones.
struct JobHistory: Sendable {
    /// One job at one moment. A reference, so that copying a list of thousands of jobs is cheap.
    final class Snapshot: Sendable {
        let job: Job

        init(_ job: Job) { self.job = job }
    }

    private(set) var all: [Snapshot] = []
    private var firstSequence = 0

    /// Adds the newest job and returns its sequence number, which never changes.
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

    /// Removes the oldest jobs beyond `limit` and returns their ids. Only the newest job can still be running.
    mutating func trim(to limit: Int) -> [String] {
        // Not one at a time: each removal moves all the other jobs.
        guard all.count > limit + max(1, limit / 8) else { return [] }
        let surplus = all.count - limit
        let forgotten = all.prefix(surplus).map(\.job.id)
        all.removeFirst(surplus)
        firstSequence += surplus
        return forgotten
    }

    /// The seconds until `job` will probably have ended, estimated from the connection's last jobs.
    func expectedWait(for job: Job, at now: Timestamp) -> Int64 {
        guard let expected = recentDuration else { return 2 }
        let elapsed = now.milliseconds - (job.startedAt ?? job.createdAt).milliseconds
        return min(600, (expected - elapsed + 999) / 1000)
    }

    /// The median duration of the recent successful jobs, in milliseconds.
    private var recentDuration: Int64? {
        let durations = all.suffix(8).compactMap { $0.job.status == .succeeded ? $0.job.durationMilliseconds : nil }
        guard !durations.isEmpty else { return nil }
        return durations.sorted()[durations.count / 2]
    }
}
