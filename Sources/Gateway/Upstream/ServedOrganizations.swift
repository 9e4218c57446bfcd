internal import Synchronization
internal import Transport

/// The last two organizations that an endpoint has served: enough to tell whether others than a few given ones are served.
///
/// All workers write it without a lock. If two write at the same time, one organization may be missing until it is served
/// again.
struct ServedOrganizations: ~Copyable, Sendable {
    private let latest = Atomic<UInt64>(0)
    private let latestAt = Atomic<UInt64>(0)
    private let other = Atomic<UInt64>(0)
    private let otherAt = Atomic<UInt64>(0)

    /// The time for which a served organization counts.
    static let memory = Duration.seconds(600)
    /// The interval at which the time of the same organization is written.
    private static let second: UInt64 = 1_000_000_000

    /// An organization was served. The key 0 means a caller without organization, which is not recorded.
    func record(_ key: UInt64, now: Instant) {
        guard key != 0 else { return }
        let last = latest.load(ordering: .relaxed)
        let lastAt = latestAt.load(ordering: .relaxed)
        if last == key, now.nanoseconds < lastAt &+ Self.second { return }
        if last != key {
            other.store(last, ordering: .relaxed)
            otherAt.store(lastAt, ordering: .relaxed)
            latest.store(key, ordering: .relaxed)
        }
        latestAt.store(now.nanoseconds, ordering: .relaxed)
    }

    /// Whether organizations other than `known` were served recently.
    func hasOthers(than known: FirstOrganizations, now: Instant) -> Bool {
        func counts(_ key: UInt64, _ at: UInt64) -> Bool {
            at > 0 && now < Instant(nanoseconds: at) + Self.memory && !known.contains(key)
        }
        return counts(latest.load(ordering: .relaxed), latestAt.load(ordering: .relaxed))
            || counts(other.load(ordering: .relaxed), otherAt.load(ordering: .relaxed))
    }
}
