internal import Transport

/// Keeps the leases in step with the jobs of the upstream in this process: lists the running jobs while a lease is
/// uncertain, and every 30 s in case the event of a job's end was lost.
///
/// `@unchecked Sendable`: used on its loop's thread only.
final class LocalLeaseReconciler: @unchecked Sendable {
    private let loop: EventLoop
    private let leases: LeaseTable
    private let upstream: any InProcessUpstream
    private let clock: WallClock
    private var isPolling = false
    private var secondsSincePoll = 0

    /// The seconds between two polls without uncertain leases.
    private static let quietSeconds = 30

    init(loop: EventLoop, leases: LeaseTable, upstream: any InProcessUpstream, clock: WallClock) {
        self.loop = loop
        self.leases = leases
        self.upstream = upstream
        self.clock = clock
    }

    /// Starts to check every second. Call it before the loop runs.
    func begin() {
        loop.every(.seconds(1)) { [self] in
            secondsSincePoll += 1
            guard !isPolling, secondsSincePoll >= LocalLeaseReconciler.quietSeconds || leases.hasUncertain else {
                return
            }
            isPolling = true
            secondsSincePoll = 0
            Task(executorPreference: loop) {
                // A failed poll frees no lease; the next second polls again.
                try? await self.leases.reconcile(with: self.upstream, now: self.clock)
                self.isPolling = false
            }
        }
    }
}
