internal import Transport

/// Settles leases whose answer was lost: asks the upstream what runs, until it says so.
///
/// `@unchecked Sendable`: used on its loop's thread only.
final class LeaseResolver: @unchecked Sendable {
    private let loop: EventLoop
    private let leases: LeaseTable
    private let upstream: any Upstream
    private var isAsking = false

    init(loop: EventLoop, shared: SharedState) {
        self.loop = loop
        leases = shared.leases
        upstream = shared.upstream
    }

    /// Looks for uncertain leases every second. Before the loop runs.
    func begin() {
        loop.every(.seconds(1)) { [self] in
            let keys = leases.uncertainKeys()
            guard !keys.isEmpty, !isAsking else { return }
            isAsking = true
            Task(executorPreference: loop) {
                await self.resolve(keys)
                self.isAsking = false
            }
        }
    }

    private func resolve(_ keys: [LeaseKey]) async {
        let askedAt = milliseconds()
        do throws(UpstreamFailure) {
            let jobs = try await upstream.runningJobs()
            for key in keys {
                let running = jobs.filter { $0.key == key }.map(\.job)
                leases.resolve(key, running: running, askedAt: askedAt, now: milliseconds())
            }
        } catch {
            // Nothing is known, so nothing is freed; the next second asks again.
        }
    }
}
