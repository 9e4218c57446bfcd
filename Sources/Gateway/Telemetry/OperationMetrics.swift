internal import Synchronization

/// The counters of one operation on one worker.
///
/// Only its worker writes, so counting is a plain load and store without contention for a cache line. Any thread may read.
package final class OperationMetrics: Sendable {
    /// Upper bounds of the latency buckets in microseconds; one more bucket holds the rest.
    static let bounds: [UInt64] = [
        50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
        30_000_000,
    ]

    private let requests = InlineArray<384, Atomic<UInt64>> { _ in Atomic(0) }
    private let buckets = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }
    private let nanoseconds = Atomic<UInt64>(0)

    init() {}

    /// Counts a request that ended at `stage` with `status` after `duration` nanoseconds.
    package func record(status: Int, stage: Stage, duration: UInt64) {
        add(1, to: requests[stage.index * 32 + StatusSlot.index(of: status)])
        add(duration, to: nanoseconds)
        let microseconds = duration / 1000
        var bucket = 0
        while bucket < Self.bounds.count, microseconds > Self.bounds[bucket] { bucket += 1 }
        add(1, to: buckets[bucket])
    }

    private func add(_ amount: UInt64, to counter: borrowing Atomic<UInt64>) {
        counter.store(counter.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// Adds the counters to `totals`.
    func collect(into totals: inout OperationTotals) {
        for index in requests.indices { totals.requests[index] += requests[index].load(ordering: .relaxed) }
        for index in buckets.indices { totals.buckets[index] += buckets[index].load(ordering: .relaxed) }
        totals.nanoseconds += nanoseconds.load(ordering: .relaxed)
    }
}

/// The sums of one operation over all workers.
struct OperationTotals {
    var requests = [UInt64](repeating: 0, count: 384)
    var buckets = [UInt64](repeating: 0, count: 17)
    var nanoseconds: UInt64 = 0

    var count: UInt64 { buckets.reduce(0, +) }
}

/// The statuses with a counter of their own. The others are counted by class, such as 2xx.
enum StatusSlot {
    private static let known = [
        200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 417, 421, 422, 423, 429, 431, 500, 501,
        502,
        503, 504, 505,
    ]
    /// The slot of each status from 100 to 599. The last six slots are the classes and "no status".
    private static let slots: [UInt8] = (100..<600).map { status in
        UInt8(known.firstIndex(of: status) ?? known.count + status / 100 - 1)
    }

    static func index(of status: Int) -> Int {
        slots.indices.contains(status - 100) ? Int(slots[status - 100]) : 31
    }

    static func label(of slot: Int) -> String {
        if known.indices.contains(slot) { return "\(known[slot])" }
        return slot == 31 ? "none" : "\(slot - known.count + 1)xx"
    }
}
