internal import Transport

/// Keeps the leases in step with the upstream's jobs: asks what runs while an answer is lost, and now and then in case the
/// sign of a job's end was.
///
/// `@unchecked Sendable`: used on its loop's thread only.
final class LocalLeaseReconciler: @unchecked Sendable {
    private let loop: EventLoop
    private let leases: LeaseTable
    private let upstream: any InProcessUpstream
    private let clock: WallClock
    private var isPolling = false
    private var secondsSincePoll = 0

    /// How often the upstream is asked although no answer is known to be lost.
    private static let quietSeconds = 30

    init(loop: EventLoop, leases: LeaseTable, upstream: any InProcessUpstream, clock: WallClock) {
        self.loop = loop
        self.leases = leases
        self.upstream = upstream
        self.clock = clock
    }

    /// Looks every second. Before the loop runs.
    func begin() {
        loop.every(.seconds(1)) { [self] in
            secondsSincePoll += 1
            guard !isPolling, secondsSincePoll >= LocalLeaseReconciler.quietSeconds || leases.hasUncertain else {
                return
            }
            isPolling = true
            secondsSincePoll = 0
            Task(executorPreference: loop) {
                // Without an answer nothing is known, so nothing is freed; the next second asks again.
                try? await self.leases.reconcile(with: self.upstream, now: self.clock)
                self.isPolling = false
            }
        }
    }
}
